import { sql } from "kysely";
import type { z } from "zod";
import type { ListQuery, Page } from "../../contracts/common.ts";
import { type DesktopPoolPolicy, PoolScheduleEntry } from "../../contracts/desktop_pool.ts";
import { DataDiskPolicy } from "../../contracts/storage.ts";
import { escapeLike } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import { prepare } from "../db/prepared.ts";
import type { Db, DesktopPoolRow } from "../db/schema.ts";

export interface StoredPool {
  id: string;
  name: string;
  description: string;
  enabled: boolean;
  policy: DesktopPoolPolicy;
  entitledUsers: number;
  createdAt: number;
}

const pools = (db: Db) =>
  db.selectFrom("desktop_pools as pool").selectAll("pool").select((build) =>
    build.selectFrom("entitlements").whereRef("entitlements.desktop_pool_id", "=", "pool.id")
      .select(({ fn }) => fn.countAll<number>().as("count")).as("entitled_users")
  );

const toPool = (row: DesktopPoolRow & { entitled_users: number | null }): StoredPool => ({
  id: row.id,
  name: row.name,
  description: row.description,
  enabled: row.enabled === 1,
  policy: {
    afterUse: row.after_use,
    returnAfterMinutes: row.return_after_minutes,
    userPower: row.user_power === 1,
    spares: row.spares,
    schedule: PoolScheduleEntry.array().parse(JSON.parse(row.schedule)),
    dataDisk: row.data_disk === null ? null : DataDiskPolicy.parse(JSON.parse(row.data_disk)),
  },
  entitledUsers: row.entitled_users ?? 0,
  createdAt: row.created_at,
});

export async function readPool(db: Db, id: string): Promise<StoredPool | undefined> {
  const row = await pools(db).where("pool.id", "=", id).executeTakeFirst();
  return row && toPool(row);
}

export async function readPools(db: Db, ids: string[]): Promise<StoredPool[]> {
  if (ids.length === 0) return [];
  return (await pools(db).where("pool.id", "in", ids).orderBy("pool.name_key").execute()).map(toPool);
}

/** By name. The cursor is the last name's key. */
export async function listPools(db: Db, query: z.output<typeof ListQuery>): Promise<Page<StoredPool>> {
  const pattern = query.q && `%${escapeLike(query.q.toLowerCase())}%`;
  const matches = sql<boolean>`(pool.name_key like ${pattern} escape '\\'
    or lower(pool.description) like ${pattern} escape '\\')`;
  const { total } = await db.selectFrom("desktop_pools as pool").$if(!!pattern, (pool) => pool.where(matches))
    .select(({ fn }) => fn.countAll<number>().as("total")).executeTakeFirstOrThrow();
  const rows = await pools(db)
    .$if(!!pattern, (pool) => pool.where(matches))
    .$if(query.cursor !== undefined, (pool) => pool.where("pool.name_key", ">", query.cursor!))
    .orderBy("pool.name_key").limit(query.limit + 1)
    .$if(query.offset !== undefined && query.cursor === undefined, (pool) => pool.offset(query.offset!))
    .execute();
  return cursorPage(rows.map(toPool), query.limit, total, ({ name }) => nameKey(name));
}

export async function insertPool(db: Db, pool: Omit<StoredPool, "entitledUsers">): Promise<void> {
  await db.insertInto("desktop_pools").values({
    id: pool.id,
    name: pool.name,
    name_key: nameKey(pool.name),
    description: pool.description,
    enabled: pool.enabled ? 1 : 0,
    after_use: pool.policy.afterUse,
    return_after_minutes: pool.policy.returnAfterMinutes,
    user_power: pool.policy.userPower ? 1 : 0,
    spares: pool.policy.spares,
    schedule: JSON.stringify(pool.policy.schedule),
    data_disk: pool.policy.dataDisk && JSON.stringify(pool.policy.dataDisk),
    created_at: pool.createdAt,
  }).execute();
}

/** Returns false when there is no such pool. */
export async function updatePool(
  db: Db,
  id: string,
  changes: Partial<Pick<StoredPool, "name" | "description" | "enabled">> & {
    policy?: Partial<DesktopPoolPolicy>;
  },
): Promise<boolean> {
  const { name, description, enabled, policy = {} } = changes;
  const row: Partial<DesktopPoolRow> = {
    ...(name !== undefined && { name, name_key: nameKey(name) }),
    ...(description !== undefined && { description }),
    ...(enabled !== undefined && { enabled: enabled ? 1 : 0 }),
    ...(policy.afterUse !== undefined && { after_use: policy.afterUse }),
    ...(policy.returnAfterMinutes !== undefined && { return_after_minutes: policy.returnAfterMinutes }),
    ...(policy.userPower !== undefined && { user_power: policy.userPower ? 1 : 0 }),
    ...(policy.spares !== undefined && { spares: policy.spares }),
    ...(policy.schedule !== undefined && { schedule: JSON.stringify(policy.schedule) }),
    ...(policy.dataDisk !== undefined && { data_disk: policy.dataDisk && JSON.stringify(policy.dataDisk) }),
  };
  if (Object.keys(row).length === 0) return true;
  const { numUpdatedRows } = await db.updateTable("desktop_pools").set(row).where("id", "=", id)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function deletePool(db: Db, id: string): Promise<void> {
  await db.deleteFrom("desktop_pools").where("id", "=", id).execute();
}

export async function readMemberIds(db: Db, poolId: string): Promise<string[]> {
  const rows = await db.selectFrom("desktop_pool_machines as member")
    .innerJoin("machines", "machines.id", "member.machine_id").where("member.desktop_pool_id", "=", poolId)
    .orderBy("machines.name_key").select("member.machine_id").execute();
  return rows.map((row) => row.machine_id);
}

export async function readEntitledUserIds(db: Db, poolId: string): Promise<string[]> {
  const rows = await db.selectFrom("entitlements").where("desktop_pool_id", "=", poolId).select("user_id")
    .execute();
  return rows.map((row) => row.user_id);
}

/** SQLite takes at most 32,766 values in a statement. */
const batchSize = 5_000;

function* batches<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += batchSize) yield items.slice(start, start + batchSize);
}

/** Names and roles of those of the machines that exist. */
export async function readMachines(db: Db, ids: string[]) {
  const found = [];
  for (const batch of batches(ids)) {
    found.push(
      ...await db.selectFrom("machines").where("id", "in", batch).select(["id", "name", "role"]).execute(),
    );
  }
  return found;
}

export async function readUserIds(db: Db, ids: string[]): Promise<string[]> {
  const found = [];
  for (const batch of batches(ids)) {
    found.push(...await db.selectFrom("users").where("id", "in", batch).select("id").execute());
  }
  return found.map(({ id }) => id);
}

/** Replaces the members. */
export async function writeMembers(trx: Db, poolId: string, machineIds: string[]): Promise<void> {
  await trx.deleteFrom("desktop_pool_machines").where("desktop_pool_id", "=", poolId).execute();
  for (const batch of batches(machineIds)) {
    await trx.insertInto("desktop_pool_machines")
      .values(batch.map((machine_id) => ({ desktop_pool_id: poolId, machine_id }))).execute();
  }
}

/** Replaces the entitlements. */
export async function writeEntitlements(trx: Db, poolId: string, userIds: string[]): Promise<void> {
  await trx.deleteFrom("entitlements").where("desktop_pool_id", "=", poolId).execute();
  for (const batch of batches(userIds)) {
    await trx.insertInto("entitlements")
      .values(batch.map((user_id) => ({ desktop_pool_id: poolId, user_id }))).execute();
  }
}

const findPoolsOf = prepare((db, userId: string) =>
  db.selectFrom("entitlements as entitlement")
    .innerJoin("desktop_pools as pool", "pool.id", "entitlement.desktop_pool_id")
    .leftJoin("leases as lease", (join) =>
      join.onRef("lease.desktop_pool_id", "=", "pool.id").on("lease.user_id", "=", userId)
        .on("lease.ended_at", "is", null))
    .where("entitlement.user_id", "=", userId)
    .orderBy("pool.name_key")
    .select([
      "pool.id",
      "pool.name",
      "pool.description",
      "pool.enabled",
      "pool.user_power",
      "lease.id as lease_id",
    ])
);

/** The pools that a user may use, by name, with the lease that the user has in each. */
export async function readPoolsOf(db: Db, userId: string) {
  const rows = await findPoolsOf(db, userId);
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    enabled: row.enabled === 1,
    userPower: row.user_power === 1,
    leaseId: row.lease_id,
  }));
}

/** What a name is compared by. */
const nameKey = (name: string) => name.toLowerCase();
