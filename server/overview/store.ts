import { sql } from "kysely";
import type { Db } from "../db/schema.ts";

/** Machines by role and whether they run. */
export async function countMachines(db: Db) {
  return await db.selectFrom("machines").select("role").select(sql<number>`state = 'running'`.as("running"))
    .select(({ fn }) => fn.countAll<number>().as("count")).groupBy(["role", "running"]).execute();
}

export interface Counts {
  desktopPools: number;
  users: number;
  entitlements: number;
  runningJobs: number;
  failedJobs: number;
}

/** Everything else that is only counted, in one query. Jobs that are steps of others do not count. */
export async function countRest(db: Db, failedSince: number): Promise<Counts> {
  const { rows } = await sql<Counts>`
    SELECT (SELECT count(*) FROM desktop_pools) AS "desktopPools",
           (SELECT count(*) FROM users WHERE role = 'user') AS "users",
           (SELECT count(*) FROM entitlements) AS "entitlements",
           (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND parent_id IS NULL) AS "runningJobs",
           (SELECT count(*) FROM jobs WHERE state = 'failed' AND parent_id IS NULL AND created_at > ${failedSince})
             AS "failedJobs"`.execute(db);
  return rows[0]!;
}
