import type { Page } from "../../contracts/common.ts";

/** Makes a page of `limit` rows out of up to `limit` + 1: the one too many says that there is a next page. */
export function cursorPage<T>(
  rows: T[],
  limit: number,
  total: number,
  cursorOf: (last: T) => string,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, total, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}
