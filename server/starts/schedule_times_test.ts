import assert from "node:assert/strict";
import type { PoolScheduleEntry } from "../../contracts/desktop_pool.ts";
import { lastRun, runsBetween } from "./schedule_times.ts";

const zone = "Europe/Berlin";
const workdays = [1, 2, 3, 4, 5];
const start: PoolScheduleEntry = { days: workdays, at: "07:45", action: "start", count: 30 };
const night: PoolScheduleEntry = {
  days: [0, 1, 2, 3, 4, 5, 6],
  at: "22:00",
  action: "shut-down-idle",
  count: 1,
};
const at = (text: string) => Date.parse(text);
const inWords = (run: { entry: PoolScheduleEntry; at: number } | null) =>
  run && `${run.entry.action} ${new Date(run.at).toISOString()}`;

Deno.test("runsBetween() finds what is due on workdays in local time, each once", () => {
  const due = (from: string, to: string) => runsBetween([start, night], at(from), at(to), zone).map(inWords);
  // 2026-11-23 is a Monday; Berlin is an hour ahead of UTC then.
  assert.deepEqual(due("2026-11-23T06:44:00Z", "2026-11-23T06:44:59Z"), []);
  assert.deepEqual(due("2026-11-23T06:44:45Z", "2026-11-23T06:45:00Z"), ["start 2026-11-23T06:45:00.000Z"]);
  assert.deepEqual(due("2026-11-23T06:45:00Z", "2026-11-23T06:45:15Z"), []);
  assert.deepEqual(due("2026-11-22T06:44:45Z", "2026-11-22T06:45:15Z"), [], "it is Sunday");
  assert.deepEqual(due("2026-11-22T20:59:45Z", "2026-11-22T21:00:00Z"), [
    "shut-down-idle 2026-11-22T21:00:00.000Z",
  ]);
});

Deno.test("runsBetween() keeps to the clock on the wall when summer time begins", () => {
  const due = runsBetween([start], at("2026-03-30T05:00:00Z"), at("2026-03-30T06:00:00Z"), zone);
  assert.deepEqual(due.map(inWords), ["start 2026-03-30T05:45:00.000Z"]);
});

Deno.test("lastRun() says whether a pool sleeps", () => {
  const last = (now: string) => inWords(lastRun([start, night], at(now), zone));
  assert.equal(last("2026-11-23T06:45:00Z"), "start 2026-11-23T06:45:00.000Z");
  assert.equal(last("2026-11-23T06:44:59Z"), "shut-down-idle 2026-11-22T21:00:00.000Z");
  assert.equal(last("2026-11-23T22:00:00Z"), "shut-down-idle 2026-11-23T21:00:00.000Z");
  assert.equal(lastRun([], 0), null);
});
