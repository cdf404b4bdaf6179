/** Names of several machines from one pattern: `{n}` is the counter, `{nn}` the counter with at least two digits. */
import { Name } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";

const counter = /\{(n+)\}/g;

function invalidName(message: string): AppError {
  return new AppError("invalid", `name: ${message}`, { details: [{ path: "name", message }] });
}

/**
 * Makes `count` names. Counting continues after the highest number that is taken.
 * @param taken lower-case names
 * @throws {AppError} `invalid` for a bad pattern or name; `conflict` when a single name is taken.
 */
export function expandNames(pattern: string, count: number, taken: ReadonlySet<string>): string[] {
  const counters = [...pattern.matchAll(counter)];
  if (counters.length > 1) throw invalidName("use the counter {n} once");
  if (counters.length === 0) {
    if (count > 1) throw invalidName("put {n} where the counter goes, as lab-{n}");
    return [requireFree(requireName(pattern), taken)];
  }
  const digits = counters[0]![1]!.length;
  const nameOf = (number: number) =>
    requireName(pattern.replace(counter, String(number).padStart(digits, "0")));
  const first = highestTaken(pattern, taken) + 1;
  return Array.from({ length: count }, (_, index) => nameOf(first + index));
}

function requireName(name: string): string {
  const parsed = Name.safeParse(name);
  if (parsed.success) return parsed.data;
  throw invalidName(`${name}: ${parsed.error.issues[0]?.message ?? "is not a valid name"}`);
}

function requireFree(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name.toLowerCase())) return name;
  throw new AppError("conflict", `There is already a machine or domain named ${name} on this hypervisor.`, {
    details: [{ path: "name", message: "is taken" }],
  });
}

function highestTaken(pattern: string, taken: ReadonlySet<string>): number {
  const [before = "", after = ""] = pattern.toLowerCase().split(/\{n+\}/);
  let highest = 0;
  for (const name of taken) {
    if (!name.startsWith(before) || !name.endsWith(after)) continue;
    const middle = name.slice(before.length, name.length - after.length);
    if (/^\d{1,9}$/.test(middle)) highest = Math.max(highest, Number(middle));
  }
  return highest;
}
