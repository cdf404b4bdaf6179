import { PoolScheduleEntry } from "../../contracts/desktop_pool.ts";
import type { Db } from "../db/schema.ts";

/** A desktop pool whose machines are kept ready. */
export interface TendedPool {
  id: string;
  name: string;
  enabled: boolean;
  spares: number;
  schedule: PoolScheduleEntry[];
}

/** Pools with spares or a schedule, switched on. */
export async function readTendedPools(db: Db): Promise<TendedPool[]> {
  const rows = await db.selectFrom("desktop_pools").where("enabled", "=", 1)
    .where((where) => where.or([where("spares", ">", 0), where("schedule", "!=", "[]")]))
    .select(["id", "name", "spares", "schedule"]).execute();
  return rows.map(({ schedule, ...row }) => ({
    ...row,
    enabled: true,
    schedule: PoolScheduleEntry.array().parse(JSON.parse(schedule)),
  }));
}

/** Whether somebody has been given a desktop of the pool after then. */
export async function hasLeaseSince(db: Db, desktopPoolId: string, since: number): Promise<boolean> {
  const lease = await db.selectFrom("leases").where("desktop_pool_id", "=", desktopPoolId)
    .where("started_at", ">", since).select("id").limit(1).executeTakeFirst();
  return lease !== undefined;
}

/** Ids of the machines that are clones of the same image as this one. */
export async function readClones(db: Db, machineId: string): Promise<string[]> {
  const rows = await db.selectFrom("machines as machine")
    .innerJoin("machines as clone", "clone.source_id", "machine.source_id")
    .where("machine.id", "=", machineId).select("clone.id").execute();
  return rows.map(({ id }) => id);
}
