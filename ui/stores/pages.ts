/** Reads a whole list page by page, as for "select all". */
import type { Page } from "../../contracts/common.ts";

const limit = 500;

export async function readAll<T>(
  load: (paging: { limit: number; offset: number }) => Promise<Page<T>>,
  most = 5000,
): Promise<T[]> {
  const found: T[] = [];
  while (found.length < most) {
    const page = await load({ limit, offset: found.length });
    found.push(...page.items);
    if (page.items.length === 0 || found.length >= page.total) break;
  }
  return found.slice(0, most);
}
