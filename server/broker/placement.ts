/**
 * Which machine a user gets, as pure functions: the same classification counts a pool's machines for the admin,
 * chooses one for a user, chooses spares and words the refusal, so that they can never disagree.
 */
import type { PoolCounts } from "../../contracts/desktop_pool.ts";
import type { Capacity, HostFacts } from "../../contracts/hypervisor.ts";
import type { MachineState, Role } from "../../contracts/machine.ts";
import { type Committed, fits, type MachineSize, shareOf } from "../hypervisors/capacity.ts";

/** A member of a desktop pool, as far as the broker cares. */
export interface Candidate extends MachineSize {
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
  /** Kept for who lost it with its hypervisor; a user that has been deleted is null. */
  keptFor: { userId: string | null } | null;
  lease: { id: string; userId: string | null; ready: boolean } | null;
}

export interface HypervisorCondition {
  name: string;
  online: boolean;
  maintenance: boolean;
  /** Of all its processors; 0 while unknown. */
  cpuPercent: number;
  capacity: Capacity;
  facts: Pick<HostFacts, "memoryMiB" | "cpus"> | null;
  /** What runs there or has been promised room. */
  taken: Readonly<Committed>;
  /** What users hold there. */
  leased: Readonly<Committed>;
}

/** What is known of machines besides their rows. */
export interface Surroundings {
  hypervisors: ReadonlyMap<string, HypervisorCondition>;
  /** Machines that an open job works on: they are being reset, populated, deleted. */
  held: ReadonlyMap<string, unknown>;
  /** Machines that are going to run: their room is among what is taken. */
  promised?: { has(machineId: string): boolean };
}

export interface PlacementContext extends Surroundings {
  poolName: string;
  poolEnabled: boolean;
  /** Who asks; null: the dashboard itself, for a spare. */
  userId: string | null;
  /** What the user holds in this pool already. */
  own: { leaseId: string; machineId: string | null; machineName: string } | null;
  /** Where the user's personal data disk lies. */
  dataHypervisorId?: string | null;
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
  "kept for another user",
  "in maintenance",
  "not populated",
  "broken",
  "on a hypervisor that is full",
  "on a hypervisor in maintenance",
  "on a hypervisor that is offline",
] as const;
export type Condition = (typeof conditions)[number];
export type ConditionCounts = Partial<Record<Condition, number>>;

export type Choice =
  & { explanation: string }
  & (
    | { kind: "own"; machineId: string | null; leaseId: string }
    | { kind: "free"; machine: Candidate; score: number }
    | { kind: "refused"; counts: ConditionCounts }
  );

/** Says what a machine is to its pool now; with a user, to this user. */
export function conditionOf(
  machine: Candidate,
  { hypervisors, held, promised }: Surroundings,
  userId: string | null = null,
): Condition {
  if (machine.lease) return machine.lease.ready ? "in use" : "being prepared";
  if (held.has(machine.machineId)) return "being prepared";
  if (machine.maintenance || machine.locked) return "in maintenance";
  if (machine.keptFor && (userId === null || machine.keptFor.userId !== userId)) {
    return "kept for another user";
  }
  if (machine.role === "vdi" && !machine.populated) return "not populated";
  const hypervisor = hypervisors.get(machine.hypervisorId);
  if (hypervisor?.maintenance) return "on a hypervisor in maintenance";
  if (!hypervisor?.online) return "on a hypervisor that is offline";
  if (machine.state === "crashed" || machine.state === "unknown") return "broken";
  const needsRoom = machine.state === "shut-off" && !promised?.has(machine.machineId);
  if (needsRoom && !hasRoom(machine, hypervisor)) return "on a hypervisor that is full";
  return "free";
}

const hasRoom = (machine: MachineSize, { capacity, facts, taken }: HypervisorCondition) =>
  fits(capacity, facts, taken, machine);

const countOf: Record<Condition, Exclude<keyof PoolCounts, "total" | "spares">> = {
  "free": "free",
  "in use": "inUse",
  "being prepared": "starting",
  "kept for another user": "inUse",
  "in maintenance": "maintenance",
  "not populated": "broken",
  "broken": "broken",
  "on a hypervisor that is full": "full",
  "on a hypervisor in maintenance": "maintenance",
  "on a hypervisor that is offline": "broken",
};

/** Counts a pool's machines by what users can do with them. */
export function countMembers(members: Iterable<Candidate>, around: Surroundings): PoolCounts {
  const counts = { total: 0, free: 0, inUse: 0, spares: 0, starting: 0, maintenance: 0, full: 0, broken: 0 };
  for (const machine of members) {
    const condition = conditionOf(machine, around);
    counts.total++;
    counts[countOf[condition]]++;
    if (condition === "free" && machine.state === "running") counts.spares++;
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
  const counts: ConditionCounts = {};
  const where = new Map<Condition, Set<string>>();
  let best: { machine: Candidate; score: number } | null = null;
  for (const machine of members) {
    const condition = standingOf(machine, context);
    counts[condition] = (counts[condition] ?? 0) + 1;
    if (condition !== "free") {
      note(where, condition, machine.hypervisorId);
      continue;
    }
    if (!context.poolEnabled) continue;
    const score = scoreOf(machine, context);
    if (!best || score < best.score) best = { machine, score };
  }
  if (best) {
    return { kind: "free", ...best, explanation: explainChoice(best.machine, context, counts.free ?? 0) };
  }
  return { kind: "refused", counts, explanation: explainRefusal(context, counts, where) };
}

/** The condition for whoever asks. */
export const standingOf = (machine: Candidate, context: PlacementContext): Condition =>
  context.except?.has(machine.machineId) ? "being prepared" : conditionOf(machine, context, context.userId);

function note(where: Map<Condition, Set<string>>, condition: Condition, hypervisorId: string): void {
  const known = where.get(condition);
  if (known) known.add(hypervisorId);
  else where.set(condition, new Set([hypervisorId]));
}

const stateRank: Record<MachineState, number> = {
  "running": 0,
  "shut-off": 1,
  "suspended": 2,
  "paused": 2,
  "crashed": 3,
  "unknown": 3,
};

/** Smaller is better: one number, its places from the weightiest down, the load of the hypervisor behind the point. */
export function scoreOf(machine: Candidate, context: PlacementContext): number {
  const { dataHypervisorId, doubtful } = context;
  const places = [
    machine.keptFor ? 0 : 1,
    dataHypervisorId && machine.hypervisorId !== dataHypervisorId ? 1 : 0,
    doubtful?.has(machine.machineId) ? 1 : 0,
    machine.outdated ? 1 : 0,
    machine.used ? 1 : 0,
    stateRank[machine.state],
  ];
  const hypervisor = context.hypervisors.get(machine.hypervisorId);
  const load = hypervisor ? loadOf(hypervisor, machine.state) : 0;
  return places.reduce((score, place) => score * 4 + place, 0) + load / 16;
}

/**
 * How busy a hypervisor is for one more desktop, 0 to 15: the share of it that is given away, plus its processors' load
 * in tenths, so that small swings do not matter. For machines that run already only what users hold of it counts: all
 * of them are in memory anyhow.
 */
function loadOf({ capacity, facts, taken, leased, cpuPercent }: HypervisorCondition, state: MachineState) {
  const share = shareOf(capacity, facts, state === "running" ? leased : taken);
  return Math.min(15, share + Math.round(cpuPercent / 10) / 10);
}

/** Words for how a hypervisor stands. */
export const describeLoad = ({ name, cpuPercent, leased }: HypervisorCondition) =>
  `${name} at ${Math.round(cpuPercent)} % CPU with ${leased.running} ${
    leased.running === 1 ? "desktop" : "desktops"
  } in use`;

const stateWords: Record<MachineState, string> = {
  "running": "running",
  "shut-off": "off, will be started",
  "suspended": "suspended",
  "paused": "paused",
  "crashed": "crashed",
  "unknown": "unknown",
};

/** What speaks for a free machine and against it. */
export function describeFree(machine: Candidate, context: PlacementContext): string {
  const hypervisor = context.hypervisors.get(machine.hypervisorId);
  const { dataHypervisorId } = context;
  return [
    ...(machine.keptFor ? ["kept for this user"] : []),
    stateWords[machine.state],
    machine.used ? "used before" : "clean",
    ...(machine.outdated ? ["on an older image"] : []),
    ...(context.doubtful?.has(machine.machineId) ? ["failed to start a short while ago"] : []),
    ...(dataHypervisorId
      ? [
        machine.hypervisorId === dataHypervisorId
          ? "beside the user's data disk"
          : "away from the user's data disk",
      ]
      : []),
    `on ${hypervisor ? describeLoad(hypervisor) : "its hypervisor"}`,
  ].join(", ");
}

const explainChoice = (machine: Candidate, context: PlacementContext, free: number) =>
  `${machine.name}: the best of ${free} free in ${context.poolName} (${describeFree(machine, context)}).`;

/** One sentence a user can read, and one on what to do. */
export function explainRefusal(
  context: Pick<PlacementContext, "poolName" | "poolEnabled" | "hypervisors">,
  counts: ConditionCounts,
  where: ReadonlyMap<Condition, ReadonlySet<string>> = new Map(),
): string {
  if (!context.poolEnabled) return `${context.poolName} is switched off. Ask your administrator.`;
  const parts = conditions.flatMap((condition) => {
    if (condition === "free" || !counts[condition]) return [];
    const names = condition.startsWith("on a hypervisor")
      ? [...where.get(condition) ?? []].flatMap((id) => context.hypervisors.get(id)?.name ?? [])
      : [];
    return [`${counts[condition]} ${condition}${names.length > 0 ? ` (${names.sort().join(", ")})` : ""}`];
  });
  if (parts.length === 0) return `${context.poolName} has no desktops yet. Ask your administrator.`;
  const waitingHelps = counts["in use"] || counts["being prepared"] || counts["on a hypervisor that is full"];
  return `No free desktop in ${context.poolName}: ${parts.join(", ")}. ` +
    (waitingHelps ? "Try again in a few minutes or ask your administrator." : "Ask your administrator.");
}
