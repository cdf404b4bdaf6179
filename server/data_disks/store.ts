/** Rows of personal data disks. */
import { sql } from "kysely";
import type { z } from "zod";
import type { ListQuery } from "../../contracts/common.ts";
import { DataDiskPolicy } from "../../contracts/storage.ts";
import { cursorPage } from "../db/page.ts";
import { escapeLike, isUniqueViolation } from "../db/open.ts";
import type { DataDiskRow, Db } from "../db/schema.ts";

export type ListedDisk = DataDiskRow & { attached_name: string | null };

export interface DataDiskQuery extends z.output<typeof ListQuery> {
  userId?: string;
  hypervisorId?: string;
}

export async function findDataDisk(db: Db, id: string): Promise<DataDiskRow | null> {
  return await db.selectFrom("data_disks").selectAll().where("id", "=", id).executeTakeFirst() ?? null;
}

export async function findDiskOfUser(db: Db, userId: string): Promise<DataDiskRow | null> {
  return await db.selectFrom("data_disks").selectAll().where("scope", "=", "user")
    .where("user_id", "=", userId).executeTakeFirst() ?? null;
}

export async function findDiskOfMachine(db: Db, machineId: string): Promise<DataDiskRow | null> {
  return await db.selectFrom("data_disks").selectAll().where("scope", "=", "machine")
    .where("machine_id", "=", machineId).executeTakeFirst() ?? null;
}

export async function findAttachedTo(db: Db, machineId: string): Promise<DataDiskRow | null> {
  return await db.selectFrom("data_disks").selectAll().where("attached_to", "=", machineId)
    .executeTakeFirst() ?? null;
}

/** SQLite takes 32,766 parameters. */
const idsPerQuery = 5000;

/** The disks that belong to these machines or are attached to them. */
export async function findDisksOfMachines(db: Db, machineIds: readonly string[]): Promise<DataDiskRow[]> {
  const rows: DataDiskRow[] = [];
  for (let start = 0; start < machineIds.length; start += idsPerQuery) {
    const some = machineIds.slice(start, start + idsPerQuery);
    rows.push(
      ...await db.selectFrom("data_disks").selectAll()
        .where(({ eb, or }) => or([eb("attached_to", "in", some), eb("machine_id", "in", some)])).execute(),
    );
  }
  return rows;
}

/** By owner. */
export async function listDisks(db: Db, query: DataDiskQuery) {
  const { userId, hypervisorId, q, limit, cursor, offset } = query;
  const pattern = q ? `%${escapeLike(q)}%` : undefined;
  const matching = db.selectFrom("data_disks as disk")
    .leftJoin("machines as machine", "machine.id", "disk.attached_to")
    .$if(userId !== undefined, (disks) => disks.where("disk.user_id", "=", userId!))
    .$if(hypervisorId !== undefined, (disks) => disks.where("disk.hypervisor_id", "=", hypervisorId!))
    .$if(
      pattern !== undefined,
      (disks) => disks.where(sql<boolean>`disk.owner_name LIKE ${pattern} ESCAPE '\\'`),
    );
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const after = /^([0-9a-f-]{36})\.(.*)$/s.exec(decodeCursor(cursor));
  const rows = await matching.selectAll("disk").select("machine.name as attached_name")
    .orderBy("disk.owner_name").orderBy("disk.id")
    .$if(
      after !== null,
      (disks) => disks.where(sql<boolean>`(disk.owner_name, disk.id) > (${after![2]}, ${after![1]})`),
    )
    .limit(limit + 1)
    .$if(offset !== undefined && after === null, (disks) => disks.offset(offset!))
    .execute();
  return cursorPage(
    rows as ListedDisk[],
    limit,
    total,
    (last) => encodeCursor(`${last.id}.${last.owner_name}`),
  );
}

const encodeCursor = (text: string) => new TextEncoder().encode(text).toBase64({ alphabet: "base64url" });
function decodeCursor(cursor: string | undefined): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(cursor ?? "", { alphabet: "base64url" }));
  } catch (error) {
    if (error instanceof SyntaxError) return "";
    throw error;
  }
}

/** False when the user or the machine has one meanwhile. */
export async function insertDisk(db: Db, row: DataDiskRow): Promise<boolean> {
  try {
    await db.insertInto("data_disks").values(row).execute();
    return true;
  } catch (error) {
    if (isUniqueViolation(error)) return false;
    throw error;
  }
}

export async function updateDisk(db: Db, id: string, changes: Partial<DataDiskRow>): Promise<void> {
  await db.updateTable("data_disks").set(changes).where("id", "=", id).execute();
}

/** Notes where a disk is attached; false when it is attached to another machine, or that has another disk. */
export async function claimDisk(db: Db, id: string, machineId: string): Promise<boolean> {
  try {
    const { numUpdatedRows } = await db.updateTable("data_disks").set({ attached_to: machineId })
      .where("id", "=", id)
      .where(({ eb, or }) => or([eb("attached_to", "is", null), eb("attached_to", "=", machineId)]))
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  } catch (error) {
    if (isUniqueViolation(error)) return false;
    throw error;
  }
}

export async function removeDisk(db: Db, id: string): Promise<void> {
  await db.deleteFrom("data_disks").where("id", "=", id).execute();
}

/** What a desktop pool gives its users. */
export async function findPolicy(db: Db, desktopPoolId: string): Promise<DataDiskPolicy | null> {
  const pool = await db.selectFrom("desktop_pools").select("data_disk").where("id", "=", desktopPoolId)
    .executeTakeFirst();
  return pool?.data_disk ? DataDiskPolicy.parse(JSON.parse(pool.data_disk)) : null;
}
