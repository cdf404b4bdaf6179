import assert from "node:assert/strict";
import { DesktopPoolPolicy } from "../../../contracts/desktop_pool.ts";
import { makePool } from "../../../tests/support/ui_world_parts.ts";
import { canBeSaved, draftOf, policyOf, scheduleErrors } from "./desktop_pool_draft.ts";

Deno.test("policyOf() gives back the policy that a draft was made of", () => {
  for (const n of [1, 2, 4]) {
    const pool = makePool(n, "Office", "");
    assert.deepEqual(policyOf(draftOf(pool)), pool.policy);
  }
});

Deno.test("a new pool's draft makes a valid policy without spares, times or data disks", () => {
  const policy = policyOf(draftOf(undefined));
  assert.deepEqual(DesktopPoolPolicy.parse(policy), DesktopPoolPolicy.parse({}));
});

Deno.test("canBeSaved() waits for a name, a size and a schedule that is right", () => {
  const draft = { ...draftOf(undefined), name: "Office" };
  assert.equal(canBeSaved(draft), true);
  assert.equal(canBeSaved({ ...draft, name: " " }), false);
  assert.equal(canBeSaved({ ...draft, dataDisk: "user", dataDiskGiB: "" }), false);
  const never = { days: [], at: "07:00", action: "start" as const, count: 1 };
  assert.equal(canBeSaved({ ...draft, schedule: [never] }), false);
});

Deno.test("scheduleErrors() finds the entry that was refused", () => {
  assert.deepEqual(scheduleErrors({ "policy.schedule.1.at": "must be a time", name: "is taken" }), {
    1: "must be a time",
  });
});
