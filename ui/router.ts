/**
 * The address bar as state. A page's filters, sorting and paging live in the query string, so that every view can be
 * bookmarked and sent to a colleague. Any plain `<a href="/...">` inside the UI navigates without a reload.
 */
import { computed, signal } from "@preact/signals";

export interface Location {
  path: string;
  query: URLSearchParams;
}
export type QueryPatch = Record<string, string | number | boolean | null | undefined>;

const here = () => ({
  path: globalThis.location?.pathname ?? "/",
  search: globalThis.location?.search ?? "",
});
const current = signal(here());

/** Where we are; reading it in a component makes the component follow navigation. */
export const location = computed<Location>(() => ({
  path: current.value.path,
  query: new URLSearchParams(current.value.search),
}));

/** Goes to a path of the UI. `replace` leaves no entry in the history. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const url = new URL(to, globalThis.location.href);
  const moved = url.pathname !== globalThis.location.pathname;
  history[options.replace ? "replaceState" : "pushState"](null, "", url.pathname + url.search + url.hash);
  current.value = { path: url.pathname, search: url.search };
  if (moved) scrollTo(0, 0);
}

/** A query string with some parameters changed; an empty value removes its parameter. */
export function patchSearch(search: string, patch: QueryPatch): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === undefined || value === "" || value === false) query.delete(name);
    else query.set(name, String(value));
  }
  const text = query.toString();
  return text && `?${text}`;
}

/** Changes query parameters of the current page in place. */
export function setQuery(patch: QueryPatch): void {
  const { path, search } = current.peek();
  navigate(path + patchSearch(search, patch), { replace: true });
}

/** The parameters of a path that fits a pattern as `/machines/:id`, else null. */
export function matchPath(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.replace(/\/+$/, "").split("/");
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":") && value) params[part.slice(1)] = decodeURIComponent(value);
    else if (part !== value) return null;
  }
  return params;
}

/** Whether a click on a link stays inside the UI: same origin, no new tab, no download, not the API. */
function staysInside(link: HTMLAnchorElement, event: MouseEvent): boolean {
  if (event.defaultPrevented || event.button !== 0) return false;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (link.target && link.target !== "_self" || link.hasAttribute("download")) return false;
  return link.origin === globalThis.location.origin &&
    !/^\/(api|healthz|metrics|ca\.pem)/.test(link.pathname);
}

/** Follows the history buttons and catches clicks on links. Called once at start. */
export function startRouter(): void {
  addEventListener("popstate", () => current.value = here());
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link?.hasAttribute("href") || !staysInside(link, event)) return;
    event.preventDefault();
    const href = link.getAttribute("href") ?? "";
    if (!href.startsWith("#")) navigate(link.pathname + link.search + link.hash);
  });
}
