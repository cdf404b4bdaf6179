import assert from "node:assert/strict";
import { PoolScheduleEntry } from "../../../contracts/desktop_pool.ts";
import { daysWords, entryProblem, entryWords, newEntry } from "./schedule.ts";

Deno.test("daysWords() names a run of days by its ends, with Sunday last", () => {
  assert.equal(daysWords([5, 1, 2, 3, 4]), "Mon to Fri");
  assert.equal(daysWords([0, 6, 5]), "Fri to Sun");
  assert.equal(daysWords([6, 0]), "Sat, Sun");
  assert.equal(daysWords([1, 3, 0]), "Mon, Wed, Sun");
  assert.equal(daysWords([0, 1, 2, 3, 4, 5, 6]), "every day");
});

Deno.test("entryWords() tells when and what", () => {
  assert.equal(entryWords({ ...newEntry, count: 30 }), "Mon to Fri at 07:45: start, until 30 desktops run");
  const night: PoolScheduleEntry = { ...newEntry, at: "22:00", action: "shut-down-idle" };
  assert.match(entryWords(night), /at 22:00: shut down desktops that nobody uses/);
});

Deno.test("entryProblem() refuses what the API would refuse", () => {
  const wrong: PoolScheduleEntry[] = [
    { ...newEntry, days: [] },
    { ...newEntry, at: "" },
    { ...newEntry, count: 0 },
    { ...newEntry, count: 2.5 },
  ];
  for (const entry of wrong) {
    assert.notEqual(entryProblem(entry), null);
    assert.equal(PoolScheduleEntry.safeParse(entry).success, false);
  }
  assert.equal(entryProblem(newEntry), null);
});
