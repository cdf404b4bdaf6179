import assert from "node:assert/strict";
import { actionAfter } from "./return_machine.ts";
import type { LeaseDetail } from "./store.ts";

type AfterUse = NonNullable<LeaseDetail["policy"]>["afterUse"];

function after(afterUse: AfterUse, overrides: Partial<NonNullable<LeaseDetail["machine"]>> = {}) {
  return actionAfter({
    policy: { afterUse, returnAfterMinutes: 5, userPower: true },
    machine: {
      id: "m",
      name: "m",
      role: "vdi",
      state: "running",
      virtualSnapshot: false,
      hypervisorId: "h",
      hypervisorName: "h",
      memoryMiB: 1024,
      vcpus: 1,
      ...overrides,
    },
  });
}

Deno.test("actionAfter() follows the pool's policy", () => {
  assert.equal(after("keep"), "nothing");
  assert.equal(after("shutdown"), "shutdown");
  assert.equal(after("shutdown", { state: "shut-off" }), "nothing");
  assert.equal(after("reset"), "reset");
  assert.equal(after("reset", { state: "shut-off" }), "reset");
});

Deno.test("actionAfter() always resets a virtual snapshot that is not known to be dropped", () => {
  for (const policy of ["keep", "shutdown", "reset"] as const) {
    assert.equal(after(policy, { virtualSnapshot: true }), "reset");
    assert.equal(after(policy, { virtualSnapshot: true, state: "unknown" }), "reset");
    assert.equal(after(policy, { virtualSnapshot: true, state: "shut-off" }), "nothing");
  }
});

Deno.test("actionAfter() only shuts a simple machine down where it cannot be reset", () => {
  assert.equal(after("reset", { role: "simple" }), "shutdown");
  assert.equal(actionAfter({ machine: null, policy: null }), "nothing");
});
