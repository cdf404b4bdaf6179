import { setTimeout as wait } from "node:timers/promises";
import { Unreachable } from "./dashboard.ts";
import type { Terminal } from "./terminal.ts";

const delaysMs = [500, 1_000, 2_000, 4_000, 8_000, 10_000];

/** A dashboard that is away for longer is not just restarting. */
const patienceMs = 5 * 60_000;

/**
 * Repeats a call while the dashboard does not answer, as while it restarts; other errors are thrown.
 * @throws {Unreachable} after five minutes
 */
export async function persist<T>(
  terminal: Terminal,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  const giveUpAt = Date.now() + patienceMs;
  for (let attempt = 0;; attempt++) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Unreachable) || Date.now() > giveUpAt) throw error;
      terminal.progress(`${error.message}. Trying again...`);
      await wait(delaysMs[Math.min(attempt, delaysMs.length - 1)]!, null, { signal });
    }
  }
}
