/** How much of a hypervisor is given away, and whether one more machine has room on it. */
import type { Domain } from "../../contracts/agent.ts";
import { type Capacity, defaultCapacity, type HostFacts } from "../../contracts/hypervisor.ts";
import type { App } from "../app.ts";
import type { HypervisorRow } from "../db/schema.ts";

/** What a machine takes while it runs. */
export interface MachineSize {
  memoryMiB: number;
  vcpus: number;
}
/** What machines have been given together. */
export interface Committed extends MachineSize {
  running: number;
}
export type Limits = Pick<Capacity, "memoryOvercommit" | "cpuOvercommit" | "maxRunning">;

export const nothingCommitted: Readonly<Committed> = { memoryMiB: 0, vcpus: 0, running: 0 };

export const capacityOf = (
  row: Pick<
    HypervisorRow,
    "memory_overcommit" | "cpu_overcommit" | "max_running" | "max_starting" | "start_cpu_percent"
  >,
): Capacity => ({
  memoryOvercommit: row.memory_overcommit,
  cpuOvercommit: row.cpu_overcommit,
  maxRunning: row.max_running,
  maxStarting: row.max_starting,
  startCpuPercent: row.start_cpu_percent,
});

/** The columns of a new hypervisor. */
export const capacityColumns = (capacity: Capacity = defaultCapacity) => ({
  memory_overcommit: capacity.memoryOvercommit,
  cpu_overcommit: capacity.cpuOvercommit,
  max_running: capacity.maxRunning,
  max_starting: capacity.maxStarting,
  start_cpu_percent: capacity.startCpuPercent,
});

/** How many more such machines may run, and what there is least of. Without facts there is no limit but `maxRunning`. */
export function roomFor(
  limits: Limits,
  facts: Pick<HostFacts, "memoryMiB" | "cpus"> | null,
  committed: Committed,
  machine: MachineSize,
): { machines: number; scarce: "memory" | "virtual processors" | "machines" } {
  const rooms = [
    { scarce: "machines", machines: (limits.maxRunning ?? Infinity) - committed.running },
    {
      scarce: "memory",
      machines: facts
        ? (facts.memoryMiB * limits.memoryOvercommit - committed.memoryMiB) / machine.memoryMiB
        : Infinity,
    },
    {
      scarce: "virtual processors",
      machines: facts ? (facts.cpus * limits.cpuOvercommit - committed.vcpus) / machine.vcpus : Infinity,
    },
  ] as const;
  const least = rooms.reduce((one, other) => other.machines < one.machines ? other : one);
  return { scarce: least.scarce, machines: Math.max(0, Math.floor(least.machines)) };
}

/** Whether one such machine has room; as `roomFor`, for when thousands are looked at. */
export function fits(
  { memoryOvercommit, cpuOvercommit, maxRunning }: Limits,
  facts: Pick<HostFacts, "memoryMiB" | "cpus"> | null,
  committed: Committed,
  machine: MachineSize,
): boolean {
  if (maxRunning !== null && committed.running >= maxRunning) return false;
  if (!facts) return true;
  return committed.memoryMiB + machine.memoryMiB <= facts.memoryMiB * memoryOvercommit &&
    committed.vcpus + machine.vcpus <= facts.cpus * cpuOvercommit;
}

/** How full a hypervisor is, from 0; 1 is all that it may run. */
export function shareOf(
  limits: Limits,
  facts: Pick<HostFacts, "memoryMiB" | "cpus"> | null,
  committed: Committed,
): number {
  const ofRunning = limits.maxRunning ? committed.running / limits.maxRunning : 0;
  if (!facts) return ofRunning;
  return Math.max(
    ofRunning,
    committed.memoryMiB / (facts.memoryMiB * limits.memoryOvercommit),
    committed.vcpus / (facts.cpus * limits.cpuOvercommit),
  );
}

/** What the running machines of each hypervisor have been given, as far as its agent has told. */
export const committedOn = (app: Pick<App, "room">): ReadonlyMap<string, Readonly<Committed>> =>
  app.room.running();

/** A domain that has memory of its host. */
export const takesRoom = ({ state }: Pick<Domain, "state">) => state !== "shut-off" && state !== "crashed";

export function add(sum: Committed, { memoryMiB, vcpus }: MachineSize, sign: 1 | -1): void {
  sum.memoryMiB += sign * memoryMiB;
  sum.vcpus += sign * vcpus;
  sum.running += sign;
}
