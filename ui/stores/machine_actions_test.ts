import assert from "node:assert/strict";
import { allowedPower } from "./machine_actions.ts";

Deno.test("allowedPower() offers what the state allows", () => {
  assert.deepEqual(allowedPower({ state: "shut-off", pendingAction: null }), ["start"]);
  assert.ok(allowedPower({ state: "running", pendingAction: null }).includes("shutdown"));
  assert.deepEqual(allowedPower({ state: "unknown", pendingAction: null }), []);
});

Deno.test("allowedPower() leaves only the plug while an action is under way", () => {
  assert.deepEqual(allowedPower({ state: "running", pendingAction: "shutdown" }), ["destroy"]);
  assert.deepEqual(allowedPower({ state: "shut-off", pendingAction: "start" }), []);
});
