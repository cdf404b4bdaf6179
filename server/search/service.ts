import type { App } from "../app.ts";
import { idsByAddress } from "../machines/service.ts";
import { type Hit, machineHits, searchRows } from "./store.ts";

const maxHits = 20;

/** Machines (by name, MAC and address), users, desktop pools and hypervisors that have the text in them. */
export async function search(app: App, text: string): Promise<Hit[]> {
  const wanted = text.trim();
  if (wanted === "") return [];
  const byName = await searchRows(app.db, wanted, maxHits);
  const found = new Set(byName.map(({ id }) => id));
  const ids = idsByAddress(app, wanted).filter((id) => !found.has(id)).slice(0, maxHits);
  const addressOf = (id: string) => app.agents.domain(id)?.domain.addresses.join(", ") ?? "";
  return [...byName, ...await machineHits(app.db, ids, addressOf)].slice(0, maxHits);
}
