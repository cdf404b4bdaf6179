/** Rows of uploads. */
import type { Db, UploadRow } from "../db/schema.ts";

export async function findUpload(db: Db, id: string): Promise<UploadRow | null> {
  return await db.selectFrom("uploads").selectAll().where("id", "=", id).executeTakeFirst() ?? null;
}

/** Newest first: those that are under way, and those that changed after `since`. */
export function findUploads(db: Db, since: number): Promise<UploadRow[]> {
  return db.selectFrom("uploads").selectAll()
    .where(({ eb, or }) => or([eb("state", "=", "receiving"), eb("changed_at", ">=", since)]))
    .orderBy("started_at", "desc").orderBy("id").limit(500).execute();
}

export async function insertUpload(db: Db, row: UploadRow): Promise<void> {
  await db.insertInto("uploads").values(row).execute();
}

export async function updateUpload(db: Db, id: string, changes: Partial<UploadRow>): Promise<void> {
  await db.updateTable("uploads").set(changes).where("id", "=", id).execute();
}

export async function removeUpload(db: Db, id: string): Promise<void> {
  await db.deleteFrom("uploads").where("id", "=", id).execute();
}

/** Uploads on a hypervisor that are under way or have ended well: what the quota counts. */
export function findCounted(db: Db, hypervisorId: string): Promise<UploadRow[]> {
  return db.selectFrom("uploads").selectAll().where("hypervisor_id", "=", hypervisorId)
    .where("state", "in", ["receiving", "done"]).execute();
}

/** Removes failed uploads, and open ones, that nobody has touched since; returns what they were. */
export async function removeAbandoned(db: Db, before: number): Promise<UploadRow[]> {
  return await db.deleteFrom("uploads").where("state", "!=", "done").where("changed_at", "<", before)
    .returningAll().execute();
}
