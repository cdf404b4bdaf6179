import { setTimeout as wait } from "node:timers/promises";
import { Unreachable } from "./dashboard.ts";
import type { Terminal } from "./terminal.ts";

const delaysMs = [500, 1_000, 2_000, 4_000, 8_000, 10_000];

/** Repeats a call for as long as the dashboard does not answer, as while it restarts; other errors are thrown. */
export async function persist<T>(
  terminal: Terminal,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0;; attempt++) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Unreachable)) throw error;
      terminal.progress(`${error.message}. Trying again...`);
      await wait(delaysMs[Math.min(attempt, delaysMs.length - 1)]!, null, { signal });
    }
  }
}
