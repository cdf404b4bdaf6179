import { formatExact, formatRelative } from "../format.ts";
import { now } from "../stores/clock.ts";

/** A time as people say it; the exact one on hover. The clock only says when to say it anew: it may be seconds old. */
export function Time({ at, never = "never" }: { at: number | null; never?: string }) {
  if (at === null) return <>{never}</>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
      {formatRelative(at, Math.max(now.value, Date.now()))}
    </time>
  );
}
