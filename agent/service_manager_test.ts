import assert from "node:assert/strict";
import { type Circumstances, findServiceManager } from "./service_manager.ts";

const find = (values: Partial<Circumstances>) =>
  findServiceManager({ args: ["agent"], env: {}, pid: 7, parentPid: 1, ...values });

Deno.test("findServiceManager() tells a unit from what a unit has started", () => {
  assert.equal(find({}), "none");
  assert.equal(find({ env: { INVOCATION_ID: "x", SYSTEMD_EXEC_PID: "7" } }), "systemd");
  assert.equal(find({ env: { INVOCATION_ID: "x", SYSTEMD_EXEC_PID: "6" } }), "none");
  assert.equal(find({ env: { INVOCATION_ID: "x" } }), "systemd", "systemd before 248");
  assert.equal(find({ env: { INVOCATION_ID: "x" }, parentPid: 6 }), "none");
  assert.equal(find({ args: ["agent", "--exit-with-parent"], env: { SYSTEMD_EXEC_PID: "7" } }), "dashboard");
});
