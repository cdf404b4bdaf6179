/** Acts on every item, at most `width` at once, until one throws or the signal aborts. */
export async function forEachOf<T>(
  items: readonly T[],
  width: number,
  signal: AbortSignal,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const work = async () => {
    for (const item of rest) {
      signal.throwIfAborted();
      await act(item);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(width, items.length) }, work));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
