import { Menu, MenuContent, MenuItem, MenuList } from "@patternfly/react-core";
import { useEffect, useRef, useState } from "preact/hooks";
import type { z } from "zod";
import type { SearchHit } from "../../contracts/settings.ts";
import { call } from "../api.ts";
import { navigate } from "../router.ts";
import { SearchBox } from "./search_box.tsx";

type Hit = z.infer<typeof SearchHit>;

const kinds: Record<Hit["kind"], { title: string; path: string }> = {
  machine: { title: "Machine", path: "/machines" },
  user: { title: "User", path: "/users" },
  "desktop-pool": { title: "Desktop pool", path: "/desktop-pools" },
  hypervisor: { title: "Hypervisor", path: "/hypervisors" },
};

/** Finds machines, users, pools and hypervisors by name, MAC or address. "/" jumps into it from anywhere. */
export function SearchEverything() {
  const [text, setText] = useState("");
  const [hits, setHits] = useState<Hit[] | null>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => focusOnSlash(box.current), []);
  useEffect(() => {
    if (text.trim() === "") return setHits(null);
    const controller = new AbortController();
    const timer = setTimeout(() => {
      call("search", { query: { q: text.trim() }, signal: controller.signal })
        .then((found) => setHits(found.items), () => setHits([]));
    }, 150);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);
  const clear = () => setText("");
  const open = (hit: Hit) => {
    clear();
    navigate(`${kinds[hit.kind].path}/${hit.id}`);
  };
  return (
    <div
      ref={box}
      className="kv-search"
      onKeyDown={(event) => {
        if (event.key === "Escape") clear();
        if (event.key === "Enter" && hits?.[0] && event.target instanceof HTMLInputElement) open(hits[0]);
        if (event.key === "ArrowDown" && event.target instanceof HTMLInputElement) {
          event.preventDefault();
          box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
        }
      }}
      onBlur={(event) => {
        if (!(event.relatedTarget instanceof Node) || !box.current?.contains(event.relatedTarget)) {
          setHits(
            null,
          );
        }
      }}
    >
      <SearchBox
        label="Search everything"
        placeholder="Search name, user, MAC, address"
        value={text}
        onChange={setText}
      />
      {hits && (
        <Menu className="kv-search-hits" onSelect={(_, id) => open(hits[Number(id)]!)}>
          <MenuContent>
            <MenuList aria-label="Search results">
              {hits.length === 0 && <MenuItem isDisabled itemId="none">Nothing found</MenuItem>}
              {hits.map((hit, index) => (
                <MenuItem
                  key={hit.kind + hit.id}
                  itemId={index}
                  description={`${kinds[hit.kind].title}${hit.detail ? ` · ${hit.detail}` : ""}`}
                >
                  {hit.title}
                </MenuItem>
              ))}
            </MenuList>
          </MenuContent>
        </Menu>
      )}
    </div>
  );
}

function focusOnSlash(box: HTMLElement | null): () => void {
  const jump = (event: KeyboardEvent) => {
    const typing = event.target instanceof HTMLElement &&
      event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    box?.querySelector("input")?.focus();
  };
  document.addEventListener("keydown", jump);
  return () => document.removeEventListener("keydown", jump);
}
