import { sql } from "kysely";
import type { z } from "zod";
import type { SearchHit } from "../../contracts/settings.ts";
import { escapeLike } from "../db/open.ts";
import type { Db } from "../db/schema.ts";

export type Hit = z.output<typeof SearchHit>;

/** Names that begin with the text come first. */
export async function searchRows(db: Db, text: string, limit: number): Promise<Hit[]> {
  const anywhere = `%${escapeLike(text)}%`;
  const beginning = `${escapeLike(text)}%`;
  const { rows } = await sql<Hit>`
    SELECT kind, id, title, detail FROM (
      SELECT 'machine' AS kind, id, name AS title, role || coalesce(' · ' || mac, '') AS detail FROM machines
        WHERE name LIKE ${anywhere} ESCAPE '\\' OR mac LIKE ${anywhere} ESCAPE '\\'
      UNION ALL
      SELECT 'user', id, username, CASE display_name WHEN '' THEN role ELSE display_name || ' · ' || role END FROM users
        WHERE username LIKE ${anywhere} ESCAPE '\\' OR display_name LIKE ${anywhere} ESCAPE '\\'
      UNION ALL
      SELECT 'desktop-pool', id, name, description FROM desktop_pools
        WHERE name LIKE ${anywhere} ESCAPE '\\'
      UNION ALL
      SELECT 'hypervisor', id, name, '' FROM hypervisors
        WHERE name LIKE ${anywhere} ESCAPE '\\'
    ) ORDER BY title LIKE ${beginning} ESCAPE '\\' DESC, lower(title), id LIMIT ${limit}`.execute(db);
  return rows.map(({ kind, id, title, detail }) => ({ kind, id, title, detail }));
}

export async function machineHits(db: Db, ids: string[], detailOf: (id: string) => string): Promise<Hit[]> {
  if (ids.length === 0) return [];
  const rows = await db.selectFrom("machines").select(["id", "name"]).where("id", "in", ids).orderBy(
    "name_key",
  ).execute();
  return rows.map(({ id, name }) => ({ kind: "machine", id, title: name, detail: detailOf(id) }));
}
