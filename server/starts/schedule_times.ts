/** When the entries of a pool's schedule are due, in the dashboard's own time zone. */
import { Cron } from "croner";
import type { PoolScheduleEntry } from "../../contracts/desktop_pool.ts";

export interface ScheduledRun {
  entry: PoolScheduleEntry;
  /** Unix ms. */
  at: number;
}

function cronOf({ days, at }: PoolScheduleEntry, timezone?: string): Cron {
  const [hour, minute] = at.split(":").map(Number);
  return new Cron(`${minute} ${hour} * * ${days.join(",")}`, { paused: true, ...(timezone && { timezone }) });
}

/** What is due after `from` and until `to` (Unix ms), in order. */
export function runsBetween(
  schedule: readonly PoolScheduleEntry[],
  from: number,
  to: number,
  timezone?: string,
): ScheduledRun[] {
  const runs = schedule.flatMap((entry) => {
    const next = cronOf(entry, timezone).nextRun(new Date(from));
    return next !== null && next.getTime() <= to ? [{ entry, at: next.getTime() }] : [];
  });
  return runs.sort((one, other) => one.at - other.at);
}

/** What was due last until `now` (Unix ms). */
export function lastRun(
  schedule: readonly PoolScheduleEntry[],
  now: number,
  timezone?: string,
): ScheduledRun | null {
  const runs = schedule.flatMap((entry) => {
    // Runs lie strictly before the reference.
    const [last] = cronOf(entry, timezone).previousRuns(1, new Date(now + 1_000));
    return last ? [{ entry, at: last.getTime() }] : [];
  });
  return runs.reduce<ScheduledRun | null>((last, run) => last && last.at >= run.at ? last : run, null);
}
