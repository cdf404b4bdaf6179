/** A desktop pool's schedule in words. */
import type { PoolScheduleEntry } from "../../../contracts/desktop_pool.ts";
import { plural } from "../../format.ts";

/** Weekdays as the contract numbers them, in the order of a working week. */
export const weekdays = [
  { day: 1, short: "Mon", name: "Monday" },
  { day: 2, short: "Tue", name: "Tuesday" },
  { day: 3, short: "Wed", name: "Wednesday" },
  { day: 4, short: "Thu", name: "Thursday" },
  { day: 5, short: "Fri", name: "Friday" },
  { day: 6, short: "Sat", name: "Saturday" },
  { day: 0, short: "Sun", name: "Sunday" },
] as const;

/** [1,2,3,4,5] -> "Mon to Fri"; [1,3] -> "Mon, Wed"; all -> "every day". */
export function daysWords(days: number[]): string {
  const chosen = weekdays.map(({ day }) => days.includes(day));
  const count = chosen.filter(Boolean).length;
  if (count === 0) return "never";
  if (count === 7) return "every day";
  const first = chosen.indexOf(true);
  const last = chosen.lastIndexOf(true);
  if (count > 2 && last - first + 1 === count) return `${weekdays[first]!.short} to ${weekdays[last]!.short}`;
  return weekdays.filter((_, index) => chosen[index]).map(({ short }) => short).join(", ");
}

/** "Mon to Fri at 07:45: start, until 30 desktops run". */
export function entryWords({ days, at, action, count }: PoolScheduleEntry): string {
  const what = action === "start"
    ? `start, until ${plural(count, "desktop")} ${count === 1 ? "runs" : "run"}`
    : "shut down desktops that nobody uses";
  return `${daysWords(days)} at ${at}: ${what}`;
}

/** An entry to begin with: the start of a working day. */
export const newEntry: PoolScheduleEntry = { days: [1, 2, 3, 4, 5], at: "07:45", action: "start", count: 10 };

/** The first thing that is wrong with an entry, or null. */
export function entryProblem({ days, at, action, count }: PoolScheduleEntry): string | null {
  if (days.length === 0) return "choose at least one day";
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(at)) return "choose a time";
  if (action === "start" && !(Number.isInteger(count) && count >= 1 && count <= 2000)) {
    return "say how many: 1 to 2,000";
  }
  return null;
}
