import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import type { Machine } from "../../../contracts/machine.ts";

/** The machines of a desktop pool on one hypervisor. */
export interface PoolShare {
  id: string;
  hypervisor: Hypervisor | undefined;
  total: number;
  running: number;
  inUse: number;
  keptFor: number;
}

/** How a pool's machines are spread over hypervisors, the largest share first. */
export function spreadOf(machines: Machine[], hypervisors: Hypervisor[]): PoolShare[] {
  const groups = Map.groupBy(machines, ({ hypervisorId }) => hypervisorId);
  const shares = [...groups].map(([id, own]): PoolShare => ({
    id,
    hypervisor: hypervisors.find((one) => one.id === id),
    total: own.length,
    running: own.filter(({ state }) => state === "running").length,
    inUse: own.filter(({ lease }) => lease !== null).length,
    keptFor: own.filter(({ keptFor }) => keptFor !== null).length,
  }));
  return shares.sort((a, b) =>
    b.total - a.total || (a.hypervisor?.name ?? "").localeCompare(b.hypervisor?.name ?? "")
  );
}
