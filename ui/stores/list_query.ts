/** A list's search, filters, sort and page, held by the URL. */
import { location, setQuery } from "../router.ts";

export interface ListQueryState {
  q: string;
  page: number;
  perPage: number;
  sort: string;
  order: "asc" | "desc";
  filter: (name: string) => string;
  /** Whether anything narrows the list. */
  narrowed: boolean;
  /** What the API's lists take. */
  paging: { q?: string; limit: number; offset: number };
}

export const perPageChoices = [20, 50, 100, 200];
const key = "kvm-vdi.rows-per-page";
const arranging = ["page", "perPage", "sort", "order", "view", "watch"];

function storedPerPage(): number {
  const stored = Number(globalThis.localStorage?.getItem(key));
  return perPageChoices.includes(stored) ? stored : 50;
}

/** Reads a query string; nonsense in it falls back to the defaults. */
export function readListQuery(
  query: URLSearchParams,
  defaults: { sort?: string; order?: "asc" | "desc"; perPage?: number } = {},
): ListQueryState {
  const number = (name: string, otherwise: number) => {
    const value = Number(query.get(name));
    return Number.isInteger(value) && value > 0 ? value : otherwise;
  };
  const q = query.get("q") ?? "";
  const page = number("page", 1);
  const perPage = Math.min(500, number("perPage", defaults.perPage ?? 50));
  const order = query.get("order");
  return {
    q,
    page,
    perPage,
    sort: query.get("sort") ?? defaults.sort ?? "",
    order: order === "asc" || order === "desc" ? order : defaults.order ?? "asc",
    filter: (name) => query.get(name) ?? "",
    narrowed: [...query.keys()].some((name) => !arranging.includes(name)),
    paging: { ...(q ? { q } : {}), limit: perPage, offset: (page - 1) * perPage },
  };
}

export const useListQuery = (defaults: { sort?: string; order?: "asc" | "desc" } = {}) =>
  readListQuery(location.value.query, { ...defaults, perPage: storedPerPage() });

/** Changes a filter and goes back to the first page. */
export const setFilter = (name: string, value: string) => setQuery({ [name]: value, page: null });

export function setPerPage(perPage: number): void {
  localStorage.setItem(key, String(perPage));
  setQuery({ perPage, page: null });
}

/** Removes search and filters; sort and view stay. */
export function clearFilters(): void {
  const names = [...location.peek().query.keys()].filter((name) => !arranging.includes(name));
  setQuery({ ...Object.fromEntries(names.map((name) => [name, null])), page: null });
}
