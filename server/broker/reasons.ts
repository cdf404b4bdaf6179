/** How the members of a pool stood when the broker chose, for people: the lease keeps it. */
import type { z } from "zod";
import type { PlacementReason as PlacementReasonSchema } from "../../contracts/desktop.ts";
import { roomFor } from "../hypervisors/capacity.ts";
import {
  type Candidate,
  type Choice,
  describeFree,
  type HypervisorCondition,
  type PlacementContext,
  scoreOf,
  standingOf,
} from "./placement.ts";

export type PlacementReason = z.infer<typeof PlacementReasonSchema>;

/** Kept on a lease. */
export const reasonLimit = 20;

/**
 * The chosen machine first, then the others: one of each hypervisor, then as they come.
 * @param limit at most so many
 */
export function reasonsOf(
  members: Iterable<Candidate>,
  choice: Choice,
  context: PlacementContext,
  limit = reasonLimit,
): PlacementReason[] {
  const chosenId = choice.kind === "free"
    ? choice.machine.machineId
    : choice.kind === "own"
    ? choice.machineId
    : null;
  const bestScore = choice.kind === "free" ? choice.score : null;
  const first: Candidate[] = [];
  const others: Candidate[] = [];
  const seen = new Set<string>();
  for (const machine of members) {
    if (machine.machineId === chosenId) first.unshift(machine);
    else if (seen.has(machine.hypervisorId)) others.length < limit && others.push(machine);
    else {
      seen.add(machine.hypervisorId);
      first.push(machine);
    }
  }
  return [...first, ...others].slice(0, limit).map((machine) => ({
    machineName: machine.name,
    hypervisorName: context.hypervisors.get(machine.hypervisorId)?.name ?? "?",
    verdict: machine.machineId === chosenId
      ? choice.kind === "free" ? `chosen: ${describeFree(machine, context)}` : "held by this user already"
      : verdictOn(machine, context, bestScore),
  }));
}

function verdictOn(machine: Candidate, context: PlacementContext, bestScore: number | null): string {
  const standing = standingOf(machine, context);
  const hypervisor = context.hypervisors.get(machine.hypervisorId);
  if (standing === "on a hypervisor that is full" && hypervisor) {
    return `${standing}: ${shortageOf(machine, hypervisor)}`;
  }
  if (standing !== "free") return standing;
  const worse = bestScore !== null && scoreOf(machine, context) > bestScore;
  return `free, ${worse ? "not as good" : "no better"}: ${describeFree(machine, context)}`;
}

/** What a hypervisor has too little of for one more machine. */
export function shortageOf(
  machine: Pick<Candidate, "memoryMiB" | "vcpus">,
  { capacity, facts, taken }: Pick<HypervisorCondition, "capacity" | "facts" | "taken">,
): string {
  const { scarce } = roomFor(capacity, facts, taken, machine);
  if (scarce === "machines") return `${taken.running} machines run there, and no more may`;
  if (scarce === "memory") {
    const limit = Math.floor((facts?.memoryMiB ?? 0) * capacity.memoryOvercommit);
    return `its machines have ${taken.memoryMiB} of ${limit} MiB, this one needs ${machine.memoryMiB}`;
  }
  const limit = Math.floor((facts?.cpus ?? 0) * capacity.cpuOvercommit);
  return `its machines have ${taken.vcpus} of ${limit} virtual processors, this one needs ${machine.vcpus}`;
}
