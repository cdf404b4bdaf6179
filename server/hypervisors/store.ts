import type { Page } from "../../contracts/common.ts";
import { escapeLike, isForeignKeyViolation, isUniqueViolation } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import type { Db, HypervisorRow } from "../db/schema.ts";
import type { z } from "zod";
import type { ListQuery } from "../../contracts/common.ts";
import { sql } from "kysely";

export function findHypervisors(db: Db): Promise<HypervisorRow[]> {
  return db.selectFrom("hypervisors").selectAll().orderBy("name_key").execute();
}

export async function findHypervisor(db: Db, id: string): Promise<HypervisorRow | null> {
  return await db.selectFrom("hypervisors").selectAll().where("id", "=", id).executeTakeFirst() ?? null;
}

/** By name. */
export async function listHypervisorRows(
  db: Db,
  query: z.output<typeof ListQuery>,
): Promise<Page<HypervisorRow>> {
  const matching = db.selectFrom("hypervisors").$if(query.q !== undefined, (hypervisors) =>
    hypervisors.where(
      sql<boolean>`name_key LIKE ${`%${escapeLike(query.q!.toLowerCase())}%`} ESCAPE '\\'`,
    ));
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const rows = await matching.selectAll().orderBy("name_key")
    .$if(query.cursor !== undefined, (hypervisors) => hypervisors.where("name_key", ">", query.cursor!))
    .limit(query.limit + 1)
    .$if(
      query.offset !== undefined && query.cursor === undefined,
      (hypervisors) => hypervisors.offset(query.offset!),
    )
    .execute();
  return cursorPage(rows, query.limit, total, (last) => last.name_key);
}

/** What only one hypervisor can have. */
export type Unique = "name" | "socketPath" | "ssh.address";

function takenBy(error: unknown): Unique {
  if (isUniqueViolation(error, "hypervisors.name_key")) return "name";
  if (isUniqueViolation(error, "hypervisors.socket_path")) return "socketPath";
  if (
    isUniqueViolation(error, "hypervisors.ssh_address", "hypervisors.ssh_port", "hypervisors.socket_path")
  ) {
    return "ssh.address";
  }
  throw error;
}

/** Returns what is taken, or null when the row was inserted. */
export async function insertHypervisor(db: Db, row: HypervisorRow): Promise<Unique | null> {
  try {
    await db.insertInto("hypervisors").values(row).execute();
    return null;
  } catch (error) {
    return takenBy(error);
  }
}

/** Returns what is taken, or null when the row was changed. */
export async function updateHypervisorRow(
  db: Db,
  id: string,
  changes: Partial<HypervisorRow>,
): Promise<Unique | null> {
  if (Object.keys(changes).length === 0) return null;
  try {
    await db.updateTable("hypervisors").set(changes).where("id", "=", id).execute();
    return null;
  } catch (error) {
    return takenBy(error);
  }
}

/** Returns false when machines, images or data disks still belong to it. */
export async function deleteHypervisorRow(db: Db, id: string): Promise<boolean> {
  try {
    await db.deleteFrom("hypervisors").where("id", "=", id).execute();
    return true;
  } catch (error) {
    if (isForeignKeyViolation(error)) return false;
    throw error;
  }
}

/** Machines and running machines of each hypervisor. */
export async function countMachines(db: Db): Promise<Map<string, { total: number; running: number }>> {
  const rows = await db.selectFrom("machines").select(({ fn }) => [
    "hypervisor_id",
    fn.countAll<number>().as("total"),
    sql<number>`sum(state = 'running')`.as("running"),
  ]).groupBy("hypervisor_id").execute();
  return new Map(rows.map(({ hypervisor_id, total, running }) => [hypervisor_id, { total, running }]));
}
