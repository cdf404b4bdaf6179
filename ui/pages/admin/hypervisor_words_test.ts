import assert from "node:assert/strict";
import { makeHypervisor } from "../../../tests/support/ui_world_parts.ts";
import {
  committedCpus,
  committedMemory,
  drainWords,
  isDrained,
  measureWords,
  runningShare,
} from "./hypervisor_words.ts";

const drain = { mode: "wait" as const, since: 0, endsAt: null, sessionsLeft: 2, runningLeft: 3 };

Deno.test("committedMemory() and committedCpus() measure against capacity, not against the host", () => {
  const host = makeHypervisor(1, { committed: { memoryMiB: 256 * 1024, vcpus: 256, running: 64 } });
  host.capacity = { ...host.capacity, memoryOvercommit: 2, cpuOvercommit: 8 };
  assert.deepEqual(committedMemory(host), { percent: 25, text: "256 GiB of 1 TiB" });
  assert.deepEqual(committedCpus(host), { percent: 50, text: "256 of 512" });
  assert.equal(committedMemory({ ...host, facts: null }), null);
});

Deno.test("runningShare() is nothing without a limit, and full with a limit of none", () => {
  const host = makeHypervisor(1, { committed: { memoryMiB: 0, vcpus: 0, running: 3 } });
  assert.equal(runningShare(host), null);
  assert.equal(runningShare({ ...host, capacity: { ...host.capacity, maxRunning: 4 } })?.percent, 75);
  assert.equal(runningShare({ ...host, capacity: { ...host.capacity, maxRunning: 0 } })?.percent, 100);
});

Deno.test("drainWords() says what is waited for, until when, and when it is empty", () => {
  assert.match(drainWords(drain, 0), /2 sessions left; it waits until their users leave/);
  const endsAt = new Date(2026, 10, 22, 14, 5).getTime();
  assert.match(drainWords({ ...drain, mode: "end", endsAt }, endsAt - 60_000), /ended at 14:05/);
  assert.match(drainWords({ ...drain, sessionsLeft: 0 }, 0), /3 desktops still to shut down/);
  const empty = { ...drain, sessionsLeft: 0, runningLeft: 0 };
  assert.match(drainWords(empty, 0), /^Empty/);
  assert.deepEqual([isDrained(drain), isDrained(empty)], [false, true]);
});

Deno.test("measureWords() tells the last value, the extremes and the mean", () => {
  const percent = (value: number) => `${Math.round(value)} %`;
  assert.equal(measureWords([10, 90, 50], percent), "now 50 %, between 10 % and 90 %, 50 % on average");
  assert.equal(measureWords([], percent), "nothing measured");
});
