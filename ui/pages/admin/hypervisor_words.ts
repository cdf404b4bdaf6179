/** A hypervisor's figures and states as people say them. */
import type { Drain, Hypervisor, LoadPoint } from "../../../contracts/hypervisor.ts";
import { formatClock, formatMiB, plural } from "../../format.ts";

export interface Share {
  percent: number;
  text: string;
}

/** Memory given to running machines, of what capacity allows; null while the host's size is not known. */
export function committedMemory({ committed, capacity, facts }: Hypervisor): Share | null {
  if (!facts) return null;
  const limitMiB = Math.round(facts.memoryMiB * capacity.memoryOvercommit);
  return {
    percent: committed.memoryMiB / limitMiB * 100,
    text: `${formatMiB(committed.memoryMiB)} of ${formatMiB(limitMiB)}`,
  };
}

/** Virtual processors given to running machines, of what capacity allows. */
export function committedCpus({ committed, capacity, facts }: Hypervisor): Share | null {
  if (!facts) return null;
  const limit = Math.round(facts.cpus * capacity.cpuOvercommit);
  return {
    percent: committed.vcpus / limit * 100,
    text: `${committed.vcpus.toLocaleString("en")} of ${limit.toLocaleString("en")}`,
  };
}

/** Running machines, of the most that may run; null without a limit. */
export function runningShare({ committed, capacity }: Hypervisor): Share | null {
  if (capacity.maxRunning === null) return null;
  return {
    percent: capacity.maxRunning === 0 ? 100 : committed.running / capacity.maxRunning * 100,
    text: `${committed.running.toLocaleString("en")} of ${capacity.maxRunning.toLocaleString("en")}`,
  };
}

/** How far a hypervisor is emptied, and what it waits for. */
export function drainWords(drain: Drain, now: number): string {
  const { sessionsLeft, runningLeft, endsAt } = drain;
  if (sessionsLeft === 0 && runningLeft === 0) return "Empty: nobody works on it and no desktop runs.";
  if (sessionsLeft === 0) {
    return `Nobody works on it any more; ${plural(runningLeft, "desktop")} still to shut down.`;
  }
  return endsAt === null
    ? `${plural(sessionsLeft, "session")} left; it waits until their users leave.`
    : `${plural(sessionsLeft, "session")} left; they are ended at ${formatClock(endsAt, now)}.`;
}

export const isDrained = (drain: Drain) => drain.sessionsLeft === 0 && drain.runningLeft === 0;

export interface Measure {
  key: keyof Omit<LoadPoint, "at">;
  title: string;
  format: (value: number) => string;
  binary?: boolean;
}

/** A chart in a sentence, for those who can't see it: "now 40 %, between 12 % and 93 %, 38 % on average". */
export function measureWords(values: number[], format: (value: number) => string): string {
  const last = values.at(-1);
  if (last === undefined) return "nothing measured";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const low = values.reduce((least, value) => Math.min(least, value), last);
  const high = values.reduce((most, value) => Math.max(most, value), last);
  return `now ${format(last)}, between ${format(low)} and ${format(high)}, ${format(mean)} on average`;
}
