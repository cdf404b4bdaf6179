/**
 * Which machine a user gets, as pure functions: the same classification counts a pool's machines for the admin,
 * chooses one for a user and words the refusal, so that the three can never disagree.
 */
import type { PoolCounts } from "../../contracts/desktop_pool.ts";
import type { MachineState, Role } from "../../contracts/machine.ts";

/** A member of a desktop pool, as far as the broker cares. */
export interface Candidate {
  machineId: string;
  name: string;
  role: Role;
  hypervisorId: string;
  state: MachineState;
  maintenance: boolean;
  locked: boolean;
  virtualSnapshot: boolean;
  populated: boolean;
  /** Its overlay is on an older version of the image. */
  outdated: boolean;
  /** Somebody has worked on it since its overlay was made, and what they left is still there. */
  used: boolean;
  lease: { id: string; userId: string | null; ready: boolean } | null;
}

export interface HypervisorCondition {
  name: string;
  online: boolean;
  maintenance: boolean;
  /** Of all its processors; 0 while unknown. */
  cpuPercent: number;
}

/** What is known of machines besides their rows. */
export interface Surroundings {
  hypervisors: ReadonlyMap<string, HypervisorCondition>;
  /** Machines that an open job works on: they are being reset, populated, deleted. */
  held: ReadonlyMap<string, unknown>;
}

export interface PlacementContext extends Surroundings {
  poolName: string;
  poolEnabled: boolean;
  /** What the user holds in this pool already. */
  own: { leaseId: string; machineId: string | null; machineName: string } | null;
  /** Machines that failed to start a short while ago: taken only when nothing else is free. */
  doubtful?: ReadonlySet<string>;
  /** Machines that turned out not to be free, or have just failed for this user. */
  except?: ReadonlySet<string>;
}

/** What a machine is to its pool. The order is that of refusals. */
export const conditions = [
  "free",
  "in use",
  "being prepared",
  "in maintenance",
  "not populated",
  "broken",
  "on a hypervisor in maintenance",
  "on a hypervisor that is offline",
] as const;
export type Condition = (typeof conditions)[number];

export type Choice =
  | { kind: "own"; machineId: string | null; leaseId: string; explanation: string }
  | { kind: "free"; machine: Candidate; explanation: string }
  | { kind: "refused"; counts: Partial<Record<Condition, number>>; explanation: string };

/** Says what a machine is to its pool now. */
export function conditionOf(machine: Candidate, { hypervisors, held }: Surroundings): Condition {
  if (machine.lease) return machine.lease.ready ? "in use" : "being prepared";
  if (held.has(machine.machineId)) return "being prepared";
  if (machine.maintenance || machine.locked) return "in maintenance";
  if (machine.role === "vdi" && !machine.populated) return "not populated";
  const hypervisor = hypervisors.get(machine.hypervisorId);
  if (hypervisor?.maintenance) return "on a hypervisor in maintenance";
  if (!hypervisor?.online) return "on a hypervisor that is offline";
  if (machine.state === "crashed" || machine.state === "unknown") return "broken";
  return "free";
}

const countOf: Record<Condition, Exclude<keyof PoolCounts, "total">> = {
  "free": "free",
  "in use": "inUse",
  "being prepared": "starting",
  "in maintenance": "maintenance",
  "not populated": "broken",
  "broken": "broken",
  "on a hypervisor in maintenance": "maintenance",
  "on a hypervisor that is offline": "broken",
};

/** Counts a pool's machines by what users can do with them. */
export function countMembers(
  members: Iterable<Candidate>,
  around: Surroundings,
): PoolCounts {
  const counts = { total: 0, free: 0, inUse: 0, starting: 0, maintenance: 0, broken: 0 };
  for (const machine of members) {
    counts.total++;
    counts[countOf[conditionOf(machine, around)]]++;
  }
  return counts;
}

/** How many members are in each condition. */
export function countConditions(members: Iterable<Candidate>, around: Surroundings) {
  const counts: Partial<Record<Condition, number>> = {};
  for (const machine of members) {
    const condition = conditionOf(machine, around);
    counts[condition] = (counts[condition] ?? 0) + 1;
  }
  return counts;
}

/**
 * Chooses a machine: the user's own again, wherever it is and from whatever terminal; else the best free one; else
 * says why none can be had.
 */
export function choose(members: Iterable<Candidate>, context: PlacementContext): Choice {
  const { own } = context;
  if (own) return { kind: "own", ...own, explanation: `${own.machineName} is held by this user already.` };
  const counts: Partial<Record<Condition, number>> = {};
  let best: { machine: Candidate; rank: number } | null = null;
  for (const machine of members) {
    const taken = context.except?.has(machine.machineId) ? "being prepared" : null;
    const condition = taken ?? conditionOf(machine, context);
    counts[condition] = (counts[condition] ?? 0) + 1;
    if (condition !== "free" || !context.poolEnabled) continue;
    const rank = rankOf(machine, context);
    if (!best || rank < best.rank) best = { machine, rank };
  }
  if (!best) return { kind: "refused", counts, explanation: explainRefusal(context, counts) };
  return {
    kind: "free",
    machine: best.machine,
    explanation: explainChoice(best.machine, context, counts),
  };
}

const stateRank: Record<MachineState, number> = {
  "running": 0,
  "shut-off": 1,
  "suspended": 2,
  "paused": 2,
  "crashed": 3,
  "unknown": 3,
};

/** Smaller is better: one number, its places from the weightiest down. */
function rankOf(machine: Candidate, context: PlacementContext): number {
  const cpuPercent = context.hypervisors.get(machine.hypervisorId)?.cpuPercent ?? 0;
  const places = [
    context.doubtful?.has(machine.machineId) ? 1 : 0,
    machine.outdated ? 1 : 0,
    machine.used ? 1 : 0,
    stateRank[machine.state],
    Math.min(10, Math.round(cpuPercent / 10)),
  ];
  return places.reduce((rank, place) => rank * 16 + place, 0);
}

function explainChoice(
  machine: Candidate,
  context: PlacementContext,
  counts: Partial<Record<Condition, number>>,
): string {
  const hypervisor = context.hypervisors.get(machine.hypervisorId);
  const reasons = [
    machine.state === "running"
      ? "running"
      : machine.state === "shut-off"
      ? "off, will be started"
      : machine.state,
    machine.used ? "used before" : "clean",
    ...(machine.outdated ? ["on an older image"] : []),
    ...(context.doubtful?.has(machine.machineId) ? ["failed to start a short while ago"] : []),
    `on ${hypervisor?.name ?? "its hypervisor"} at ${Math.round(hypervisor?.cpuPercent ?? 0)} % CPU`,
  ];
  return `${machine.name}: the best of ${counts.free ?? 0} free in ${context.poolName} (${
    reasons.join(", ")
  }).`;
}

/** One sentence a user can read, and one on what to do. */
export function explainRefusal(
  context: Pick<PlacementContext, "poolName" | "poolEnabled">,
  counts: Partial<Record<Condition, number>>,
): string {
  if (!context.poolEnabled) return `${context.poolName} is switched off. Ask your administrator.`;
  const parts = conditions.flatMap((condition) =>
    condition !== "free" && counts[condition] ? [`${counts[condition]} ${condition}`] : []
  );
  if (parts.length === 0) return `${context.poolName} has no desktops yet. Ask your administrator.`;
  return `No free desktop in ${context.poolName}: ${parts.join(", ")}. ` +
    (counts["in use"] || counts["being prepared"]
      ? "Try again in a few minutes or ask your administrator."
      : "Ask your administrator.");
}
