import assert from "node:assert/strict";
import { Heartbeats, type Pulse } from "./heartbeats.ts";

const pulse = (leaseId: string, overrides: Partial<Pulse> = {}): Pulse => ({
  leaseId,
  userId: "u",
  machineId: `machine of ${leaseId}`,
  state: "ready",
  returnAfterMs: 1000,
  lastAt: 0,
  ...overrides,
});

Deno.test("Heartbeats.expired() gives every lease at least the common time, and spares those being prepared", () => {
  const beats = new Heartbeats();
  beats.track(pulse("short"));
  beats.track(pulse("long", { returnAfterMs: 5000 }));
  beats.track(pulse("preparing", { state: "preparing" }));
  const expired = (now: number, leastMs = 0) => beats.expired(now, leastMs).map(({ leaseId }) => leaseId);
  assert.deepEqual(expired(999), []);
  assert.deepEqual(expired(1000), ["short"]);
  assert.deepEqual(expired(1000, 2000), []);
  assert.deepEqual(expired(5000), ["short", "long"]);
});

Deno.test("Heartbeats.note() never goes back in time and tells unknown leases apart", () => {
  const beats = new Heartbeats();
  beats.track(pulse("a"));
  assert.equal(beats.note("a", 500), true);
  assert.equal(beats.note("a", 300), true);
  assert.equal(beats.get("a")?.lastAt, 500);
  assert.equal(beats.note("gone", 500), false);
});

Deno.test("Heartbeats hands every unwritten sign of life over once, and none of an ended lease", () => {
  const beats = new Heartbeats();
  beats.track(pulse("a"));
  beats.track(pulse("b"));
  beats.note("a", 1);
  beats.note("b", 1);
  beats.forget("b");
  assert.deepEqual(beats.takeUnwritten(), ["a"]);
  assert.deepEqual(beats.takeUnwritten(), []);
});

Deno.test("Heartbeats.ofMachine() follows a lease to another machine", () => {
  const beats = new Heartbeats();
  beats.track(pulse("a", { machineId: "m1" }));
  beats.change("a", { machineId: "m2" });
  assert.equal(beats.ofMachine("m1"), undefined);
  assert.equal(beats.ofMachine("m2")?.leaseId, "a");
});
