type NotYet = undefined | null | false;

/**
 * Waits until `check` returns something other than undefined, null or false, and returns it; for what gives no event
 * to wait for. A check that throws counts as "not yet": the last error is the cause when time is up.
 */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | NotYet> | T | NotYet,
  { timeoutMs = 10_000, everyMs = 100 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const giveUpAt = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const result = await check();
      if (result !== undefined && result !== null && result !== false) return result;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
