/** The machine table: filters, search, order and paging in SQL, whatever the number of machines. */
import { type Expression, type RawBuilder, sql, type SqlBool } from "kysely";
import type { z } from "zod";
import type { MachineQuery, MachineSort } from "../../contracts/machine.ts";
import { escapeLike } from "../db/open.ts";
import type { Db, MachineRow } from "../db/schema.ts";

export interface MachinePage {
  rows: MachineRow[];
  total: number;
  nextCursor: string | null;
}

const sortColumns: Record<z.infer<typeof MachineSort>, RawBuilder<string | number>> = {
  name: sql<string>`machines.name_key`,
  role: sql<string>`machines.role`,
  state: sql<string>`machines.state`,
  hypervisor: sql<string>`(SELECT name_key FROM hypervisors WHERE hypervisors.id = machines.hypervisor_id)`,
  createdAt: sql<number>`machines.created_at`,
  memoryMiB: sql<number>`machines.memory_mib`,
};

/** `idsByAddress`: machines whose live address matches the search text; addresses are not in the table. */
export async function listMachineRows(
  db: Db,
  query: z.output<typeof MachineQuery>,
  idsByAddress: readonly string[],
): Promise<MachinePage> {
  const matching = db.selectFrom("machines").where((where) => where.and(conditionsOf(query, idsByAddress)));
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const column = sortColumns[query.sort];
  const after = parseCursor(query.cursor);
  const beyond = sql.raw(query.order === "asc" ? ">" : "<");
  const found = await matching.selectAll().select(column.as("sort_value"))
    .$if(
      after !== null,
      (machines) =>
        machines.where(sql<SqlBool>`(${column}, machines.id) ${beyond} (${after![0]}, ${after![1]})`),
    )
    .orderBy(column, query.order).orderBy("machines.id", query.order)
    .limit(query.limit + 1)
    .$if(query.offset !== undefined && after === null, (machines) => machines.offset(query.offset!))
    .execute();
  const rows = found.slice(0, query.limit);
  const last = rows.at(-1);
  const nextCursor = found.length > query.limit && last ? cursorOf(last.sort_value, last.id) : null;
  return { rows, total, nextCursor };
}

function conditionsOf(
  query: z.output<typeof MachineQuery>,
  idsByAddress: readonly string[],
): Expression<SqlBool>[] {
  const { role, state, hypervisorId, sourceId, desktopPoolId, q } = query;
  return [
    ...(role ? [sql<SqlBool>`machines.role = ${role}`] : []),
    ...(state ? [sql<SqlBool>`machines.state = ${state}`] : []),
    ...(hypervisorId ? [sql<SqlBool>`machines.hypervisor_id = ${hypervisorId}`] : []),
    ...(sourceId ? [sql<SqlBool>`machines.source_id = ${sourceId}`] : []),
    ...(desktopPoolId
      ? [sql<SqlBool>`machines.id IN (SELECT machine_id FROM desktop_pool_machines
          WHERE desktop_pool_id = ${desktopPoolId})`]
      : []),
    ...(q?.trim() ? [searchCondition(q.trim(), idsByAddress)] : []),
  ];
}

/** Name, MAC, notes, or the user who holds it. */
function searchCondition(text: string, idsByAddress: readonly string[]): Expression<SqlBool> {
  const pattern = `%${escapeLike(text.toLowerCase())}%`;
  const like = sql`LIKE ${pattern} ESCAPE '\\'`;
  const byAddress = idsByAddress.length === 0
    ? sql``
    : sql` OR machines.id IN (${sql.join(idsByAddress.slice(0, 5000))})`;
  return sql<SqlBool>`(machines.name_key ${like} OR machines.mac ${like} OR machines.notes ${like}
    OR machines.id IN (SELECT machine_id FROM leases WHERE ended_at IS NULL AND username ${like})${byAddress})`;
}

const cursorOf = (value: string | number, id: string) =>
  btoa(encodeURIComponent(JSON.stringify([value, id])));

function parseCursor(cursor: string | undefined): [string | number, string] | null {
  if (cursor === undefined) return null;
  try {
    const value: unknown = JSON.parse(decodeURIComponent(atob(cursor)));
    if (!Array.isArray(value) || typeof value[1] !== "string") return null;
    return typeof value[0] === "string" || typeof value[0] === "number" ? [value[0], value[1]] : null;
  } catch {
    // Not one of ours: the list starts at its beginning.
    return null;
  }
}
