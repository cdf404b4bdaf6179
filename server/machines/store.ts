/** Rows of machines and what belongs to them. */
import { isUniqueViolation } from "../db/open.ts";
import type { Db, MachineRow } from "../db/schema.ts";

/** SQLite takes 32,766 parameters; lists of ids are cut below that. */
const idsPerQuery = 5000;

export async function findMachine(db: Db, id: string): Promise<MachineRow | null> {
  return await db.selectFrom("machines").selectAll().where("id", "=", id).executeTakeFirst() ?? null;
}

export async function findMachines(db: Db, ids: readonly string[]): Promise<MachineRow[]> {
  const rows: MachineRow[] = [];
  for (let start = 0; start < ids.length; start += idsPerQuery) {
    const some = ids.slice(start, start + idsPerQuery);
    rows.push(...await db.selectFrom("machines").selectAll().where("id", "in", some).execute());
  }
  return rows;
}

export function findAllMachines(db: Db): Promise<MachineRow[]> {
  return db.selectFrom("machines").selectAll().orderBy("name_key").orderBy("id").execute();
}

export function findMachinesOn(db: Db, hypervisorId: string): Promise<MachineRow[]> {
  return db.selectFrom("machines").selectAll().where("hypervisor_id", "=", hypervisorId).execute();
}

/** Machines made from this one, by name. */
export function findDerived(db: Db, sourceId: string): Promise<MachineRow[]> {
  return db.selectFrom("machines").selectAll().where("source_id", "=", sourceId)
    .orderBy("name_key").orderBy("id").execute();
}

/** Lower-case names in use on a hypervisor. */
export async function findNameKeys(db: Db, hypervisorId: string): Promise<Set<string>> {
  const rows = await db.selectFrom("machines").select("name_key").where("hypervisor_id", "=", hypervisorId)
    .execute();
  return new Set(rows.map((row) => row.name_key));
}

/** Inserts all rows or none; returns false when a name or id is taken. */
export async function insertMachines(db: Db, rows: MachineRow[]): Promise<boolean> {
  try {
    await db.transaction().execute(async (trx) => {
      for (const row of rows) await trx.insertInto("machines").values(row).execute();
    });
    return true;
  } catch (error) {
    if (isUniqueViolation(error)) return false;
    throw error;
  }
}

export async function updateMachine(db: Db, id: string, changes: Partial<MachineRow>): Promise<void> {
  await db.updateTable("machines").set(changes).where("id", "=", id).execute();
}

/** Writes many rows' changes in one transaction. */
export async function updateMachines(
  db: Db,
  changes: ReadonlyMap<string, Partial<MachineRow>>,
): Promise<void> {
  if (changes.size === 0) return;
  await db.transaction().execute(async (trx) => {
    for (const [id, change] of changes) await updateMachine(trx, id, change);
  });
}

/** Removes a machine; memberships go with it, leases stay as history. */
export async function removeMachine(db: Db, id: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom("machines").where("id", "=", id).executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

export interface MachineRelations {
  desktopPools: Map<string, { id: string; name: string }[]>;
  leases: Map<string, { id: string; userId: string; username: string; since: number }>;
  cloneCounts: Map<string, number>;
  /** Of every initial of these machines: its current version. */
  currentVersionIds: Map<string, string | null>;
  /** Versions that these machines are on: their numbers. */
  versionNumbers: Map<string, number>;
  /** Of users for whom machines are kept. */
  usernames: Map<string, string>;
}

/** What belongs to these machines, in a few queries however many they are. */
export async function findRelations(db: Db, rows: readonly MachineRow[]): Promise<MachineRelations> {
  const relations: MachineRelations = {
    desktopPools: new Map(),
    leases: new Map(),
    cloneCounts: new Map(),
    currentVersionIds: new Map(),
    versionNumbers: new Map(),
    usernames: new Map(),
  };
  for (let start = 0; start < rows.length; start += idsPerQuery) {
    await addRelations(db, rows.slice(start, start + idsPerQuery), relations);
  }
  return relations;
}

async function addRelations(db: Db, rows: readonly MachineRow[], to: MachineRelations): Promise<void> {
  const ids = rows.map((row) => row.id);
  const members = await db.selectFrom("desktop_pool_machines as member")
    .innerJoin("desktop_pools as pool", "pool.id", "member.desktop_pool_id")
    .select(["member.machine_id", "pool.id", "pool.name"])
    .where("member.machine_id", "in", ids).orderBy("pool.name_key").execute();
  for (const { machine_id, id, name } of members) {
    const pools = to.desktopPools.get(machine_id);
    if (pools) pools.push({ id, name });
    else to.desktopPools.set(machine_id, [{ id, name }]);
  }
  const leases = await db.selectFrom("leases").select([
    "id",
    "machine_id",
    "user_id",
    "username",
    "started_at",
  ])
    .where("machine_id", "in", ids).where("ended_at", "is", null).execute();
  for (const { id, machine_id, user_id, username, started_at } of leases) {
    if (machine_id === null || user_id === null) continue;
    to.leases.set(machine_id, { id, userId: user_id, username, since: started_at });
  }
  const counts = await db.selectFrom("machines").select((
    { fn },
  ) => ["source_id", fn.countAll<number>().as("count")])
    .where("source_id", "in", ids).groupBy("source_id").execute();
  for (const { source_id, count } of counts) to.cloneCounts.set(source_id!, count);
  const keptFor = [...new Set(rows.flatMap((row) => row.kept_for_user_id ?? []))];
  if (keptFor.length > 0) {
    const users = await db.selectFrom("users").select(["id", "username"]).where("id", "in", keptFor)
      .execute();
    for (const { id, username } of users) to.usernames.set(id, username);
  }
  const sourceIds = [...new Set(rows.flatMap((row) => row.source_id ?? []))];
  const initials = sourceIds.length === 0
    ? []
    : await db.selectFrom("machines").select(["id", "current_version_id"]).where("id", "in", sourceIds)
      .execute();
  for (const { id, current_version_id } of initials) to.currentVersionIds.set(id, current_version_id);
  const versionIds = [...new Set(rows.flatMap((row) => row.version_id ?? []))];
  const versions = versionIds.length === 0
    ? []
    : await db.selectFrom("image_versions").select(["id", "number"]).where("id", "in", versionIds).execute();
  for (const { id, number } of versions) to.versionNumbers.set(id, number);
}

/** Machine id -> username, of leases that have not ended. */
export async function findLeaseHolders(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await db.selectFrom("leases").select(["machine_id", "username"])
    .where("ended_at", "is", null).where("machine_id", "in", ids).execute();
  return new Map(rows.map(({ machine_id, username }) => [machine_id!, username]));
}

/** Machines that users may get, by hypervisor. */
export async function countDesktops(db: Db): Promise<Map<string, number>> {
  const rows = await db.selectFrom("machines").where("role", "in", ["vdi", "simple"])
    .select(({ fn }) => ["hypervisor_id", fn.countAll<number>().as("count")]).groupBy("hypervisor_id")
    .execute();
  return new Map(rows.map(({ hypervisor_id, count }) => [hypervisor_id, count]));
}
