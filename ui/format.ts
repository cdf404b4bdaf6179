/** Numbers, sizes and times as people read them. Sizes are binary units. */

const sizeUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 -> "1.5 KiB"; null and undefined -> a dash. */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return "–";
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${sizeUnits[unit]}`;
}

export const formatMiB = (mebibytes: number | null | undefined) =>
  formatBytes(mebibytes === null || mebibytes === undefined ? mebibytes : mebibytes * 1024 * 1024);

/** Whole percent of done in total, 0 to 100; 0 while the total is unknown. */
export const percentOf = (done: number, total: number) =>
  total > 0 ? Math.min(100, Math.max(0, Math.round(done / total * 100))) : 0;

/** 75_000 -> "1 min 15 s". */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

const steps: [limitMs: number, unitMs: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [3_600_000, 60_000, "minute"],
  [86_400_000, 3_600_000, "hour"],
  [30 * 86_400_000, 86_400_000, "day"],
  [365 * 86_400_000, 30 * 86_400_000, "month"],
  [Infinity, 365 * 86_400_000, "year"],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "just now", "3 minutes ago", "in 2 hours". */
export function formatRelative(at: number, now: number): string {
  const distance = Math.abs(at - now);
  if (distance < 45_000) return at > now + 5_000 ? "in a moment" : "just now";
  const [, unitMs, unit] = steps.find(([limit]) => distance < limit) ?? steps[4]!;
  return relative.format(Math.round((at - now) / unitMs), unit);
}

const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const formatExact = (at: number) => exact.format(at);

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const clockOfDay = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
/** "14:05" today, "23 Nov, 14:05" on another day. */
export const formatClock = (at: number, now: number) =>
  (new Date(at).toDateString() === new Date(now).toDateString() ? clock : clockOfDay).format(at);

/** What is left of a countdown: "4:05", "1:00:09"; "0:00" when it is over. */
export function formatCountdown(leftMs: number): string {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000));
  const padded = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${padded(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${padded(minutes % 60)}:${padded(seconds % 60)}`;
}

/** "1 machine", "3 machines", "2,000 machines". */
export const plural = (count: number, one: string, many = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/**
 * The names that a pattern makes: `lab-{n}` counts 1, 2, ..., `{nn}` pads to two digits. Taken names are known to the
 * dashboard only, so this is a preview.
 */
export function previewNames(pattern: string, count: number, shown = 3): string[] {
  if (!/\{n+\}/.test(pattern)) return [pattern];
  return Array.from({ length: Math.min(count, shown) }, (_, index) => nameAt(pattern, index + 1));
}

export const nameAt = (pattern: string, place: number) =>
  pattern.replace(/\{(n+)\}/g, (_, digits: string) => String(place).padStart(digits.length, "0"));

/** Rate and time left of something that is under way; empty while it can't be told. */
export function formatPace(
  progress: { done: number; total: number; unit: "bytes" | "items"; startedAt: number | null },
  now: number,
): string {
  const { done, total, unit, startedAt } = progress;
  const elapsedMs = startedAt === null ? 0 : now - startedAt;
  if (elapsedMs < 1000 || done <= 0) return "";
  const perSecond = done / (elapsedMs / 1000);
  const rate = unit === "bytes" ? `${formatBytes(perSecond)}/s` : `${perSecond.toFixed(1)} per second`;
  const left = total > done ? `, ${formatDuration((total - done) / perSecond * 1000)} left` : "";
  return rate + left;
}
