import assert from "node:assert/strict";
import { idOf, makeHypervisor, makeMachine } from "../../../tests/support/ui_world_parts.ts";
import { spreadOf } from "./pool_spread.ts";

Deno.test("spreadOf() counts a pool's machines by hypervisor, the largest share first", () => {
  const hosts = [makeHypervisor(1), makeHypervisor(2)];
  const lease = { id: idOf(5, 1), userId: idOf(4, 1), username: "ada", since: 0 };
  const machines = [
    makeMachine(1, { hypervisorId: idOf(2, 1) }),
    makeMachine(2, { hypervisorId: idOf(2, 2), state: "running", lease }),
    makeMachine(3, { hypervisorId: idOf(2, 2), state: "running" }),
    makeMachine(4, { hypervisorId: idOf(2, 2), keptFor: { userId: idOf(4, 1), username: "ada", until: 1 } }),
  ];
  const [first, second] = spreadOf(machines, hosts);
  assert.deepEqual(
    [first?.hypervisor?.name, first?.total, first?.running, first?.inUse, first?.keptFor],
    ["hv-2", 3, 2, 1, 1],
  );
  assert.deepEqual([second?.hypervisor?.name, second?.total, second?.running], ["hv-1", 1, 0]);
  assert.deepEqual(spreadOf([], hosts), []);
});
