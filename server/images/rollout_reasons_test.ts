import assert from "node:assert/strict";
import { type CloneFacts, reasonToWait } from "./rollout_reasons.ts";

const idle: CloneFacts = {
  state: "shut-off",
  hypervisor: { name: "host", usable: true },
  username: null,
  kept: false,
  held: false,
  maintenance: false,
  viewers: 0,
  failure: null,
};

Deno.test("reasonToWait() lets go what is off, or runs without anybody", () => {
  assert.equal(reasonToWait(idle), null);
  assert.equal(reasonToWait({ ...idle, state: "crashed" }), null);
  assert.equal(reasonToWait({ ...idle, state: "running" }), null);
  assert.equal(reasonToWait({ ...idle, maintenance: true }), null);
});

Deno.test("reasonToWait() never touches what somebody uses or works on", () => {
  const cases: [Partial<CloneFacts>, RegExp][] = [
    [{ username: "ann" }, /in use by ann/],
    [{ username: "ann", state: "shut-off" }, /in use by ann/],
    [{ kept: true }, /kept for a user/],
    [{ held: true }, /a job works on it/],
    [{ hypervisor: { name: "host2", usable: false } }, /host2 is offline/],
    [{ state: null }, /missing/],
    [{ state: "paused" }, /it is paused/],
    [{ state: "running", maintenance: true }, /in maintenance/],
    [{ state: "running", viewers: 1 }, /looks at its display/],
    [{ failure: "no space." }, /failed: no space. Populate it/],
  ];
  for (const [changes, words] of cases) assert.match(reasonToWait({ ...idle, ...changes }) ?? "", words);
});
