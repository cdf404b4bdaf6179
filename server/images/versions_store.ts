/** Rows of versions, of their copies on hypervisors, and of rollouts. */
import { sql } from "kysely";
import type { ListQuery, Page } from "../../contracts/common.ts";
import { escapeLike } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import type { Db, ImageCopyRow, ImageVersionRow, MachineRow, RolloutRow } from "../db/schema.ts";

export async function findVersion(db: Db, id: string): Promise<ImageVersionRow | null> {
  return await db.selectFrom("image_versions").selectAll().where("id", "=", id).executeTakeFirst() ?? null;
}

/** Versions of these initials, newest first. */
export async function findVersionsOf(db: Db, initialIds: readonly string[]): Promise<ImageVersionRow[]> {
  if (initialIds.length === 0) return [];
  return await db.selectFrom("image_versions").selectAll().where("initial_id", "in", initialIds)
    .orderBy("number", "desc").execute();
}

/** Adds a version. */
export async function insertVersion(db: Db, row: ImageVersionRow): Promise<void> {
  await db.insertInto("image_versions").values(row).execute();
}

export async function updateVersionRow(
  db: Db,
  id: string,
  changes: Partial<ImageVersionRow>,
): Promise<void> {
  if (Object.keys(changes).length === 0) return;
  await db.updateTable("image_versions").set(changes).where("id", "=", id).execute();
}

/** Removes a version with what is known of its copies. */
export async function removeVersion(db: Db, id: string): Promise<void> {
  await db.deleteFrom("image_versions").where("id", "=", id).execute();
}

/** Removes a version of which nothing was ever written. */
export async function removeUnwritten(db: Db, id: string): Promise<void> {
  await db.deleteFrom("image_versions").where("id", "=", id).where("state", "=", "copying").execute();
}

export async function findCopies(db: Db, versionIds: readonly string[]): Promise<ImageCopyRow[]> {
  if (versionIds.length === 0) return [];
  return await db.selectFrom("image_copies").selectAll().where("version_id", "in", versionIds).execute();
}

export async function findCopy(
  db: Db,
  versionId: string,
  hypervisorId: string,
): Promise<ImageCopyRow | null> {
  return await db.selectFrom("image_copies").selectAll().where("version_id", "=", versionId)
    .where("hypervisor_id", "=", hypervisorId).executeTakeFirst() ?? null;
}

export async function findCopiesOn(db: Db, hypervisorId: string): Promise<ImageCopyRow[]> {
  return await db.selectFrom("image_copies").selectAll().where("hypervisor_id", "=", hypervisorId).execute();
}

/** Adds a copy, or writes it anew. */
export async function putCopy(db: Db, row: ImageCopyRow): Promise<void> {
  const { version_id: _version, hypervisor_id: _hypervisor, ...changes } = row;
  await db.insertInto("image_copies").values(row)
    .onConflict((conflict) => conflict.columns(["version_id", "hypervisor_id"]).doUpdateSet(changes))
    .execute();
}

export async function removeCopy(db: Db, versionId: string, hypervisorId: string): Promise<void> {
  await db.deleteFrom("image_copies").where("version_id", "=", versionId)
    .where("hypervisor_id", "=", hypervisorId).execute();
}

/** Which version lies at each of these paths of a hypervisor. */
export async function findVersionIdsAt(
  db: Db,
  hypervisorId: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  if (paths.length === 0) return new Map();
  const rows = await db.selectFrom("image_copies").select(["path", "version_id"])
    .where("hypervisor_id", "=", hypervisorId).where("path", "in", paths).execute();
  return new Map(rows.map(({ path, version_id }) => [path, version_id]));
}

/** Makes a version what populate uses, and begins or ends a rollout with it. */
export async function makeCurrent(
  db: Db,
  version: Pick<ImageVersionRow, "id" | "initial_id">,
  at: number,
  rollout: RolloutRow | null,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx.updateTable("machines").set({ current_version_id: version.id, updated_at: at })
      .where("id", "=", version.initial_id).execute();
    await updateVersionRow(trx, version.id, { published_at: at });
    await removeRollout(trx, version.initial_id);
    if (rollout) await trx.insertInto("rollouts").values(rollout).execute();
  });
}

/** Makes it current unless there is a current one already. Returns whether it did. */
export async function makeFirstCurrent(
  db: Db,
  { id, initial_id }: Pick<ImageVersionRow, "id" | "initial_id">,
  at: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable("machines").set({ current_version_id: id, updated_at: at })
    .where("id", "=", initial_id).where("current_version_id", "is", null).executeTakeFirst();
  if (numUpdatedRows > 0n) await updateVersionRow(db, id, { published_at: at });
  return numUpdatedRows > 0n;
}

export function findRollouts(db: Db): Promise<RolloutRow[]> {
  return db.selectFrom("rollouts").selectAll().orderBy("started_at").execute();
}

export async function findRollout(db: Db, initialId: string): Promise<RolloutRow | null> {
  return await db.selectFrom("rollouts").selectAll().where("initial_id", "=", initialId).executeTakeFirst() ??
    null;
}

/** Returns false when there was none. */
export async function removeRollout(db: Db, initialId: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom("rollouts").where("initial_id", "=", initialId)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** vdi machines of these initials, by name. */
export async function findClones(db: Db, initialIds: readonly string[]): Promise<MachineRow[]> {
  if (initialIds.length === 0) return [];
  return await db.selectFrom("machines").selectAll().where("role", "=", "vdi")
    .where("source_id", "in", initialIds).orderBy("name_key").orderBy("id").execute();
}

/** Active leases of these machines: machine id -> lease. */
export async function findLeasesOn(
  db: Db,
  machineIds: readonly string[],
): Promise<Map<string, { id: string; username: string }>> {
  const leases = new Map<string, { id: string; username: string }>();
  for (let start = 0; start < machineIds.length; start += 5000) {
    const rows = await db.selectFrom("leases").select(["id", "machine_id", "username"])
      .where("ended_at", "is", null).where("machine_id", "in", machineIds.slice(start, start + 5000))
      .execute();
    for (const { id, machine_id, username } of rows) leases.set(machine_id!, { id, username });
  }
  return leases;
}

export async function findInitialIds(db: Db): Promise<string[]> {
  const rows = await db.selectFrom("machines").select("id").where("role", "=", "initial").execute();
  return rows.map(({ id }) => id);
}

/** One page of initials, by name. */
export async function listInitials(db: Db, query: ListQuery): Promise<Page<MachineRow>> {
  const text = query.q?.trim().toLowerCase();
  const matching = db.selectFrom("machines").where("role", "=", "initial").$if(
    Boolean(text),
    (machines) => machines.where(sql<boolean>`name_key LIKE ${`%${escapeLike(text!)}%`} ESCAPE '\\'`),
  );
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const [name, id] = (query.cursor ?? "").split("/");
  const rows = await matching.selectAll().orderBy("name_key").orderBy("id")
    .$if(
      id !== undefined,
      (machines) => machines.where(sql<boolean>`(name_key, id) > (${name}, ${id})`),
    )
    .limit(query.limit + 1)
    .$if(
      query.offset !== undefined && id === undefined,
      (machines) => machines.offset(query.offset!),
    )
    .execute();
  return cursorPage(rows, query.limit, total, (last) => `${last.name_key}/${last.id}`);
}
