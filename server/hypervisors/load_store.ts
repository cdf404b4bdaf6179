import { sql } from "kysely";
import type { Db, HypervisorLoadRow } from "../db/schema.ts";
import type { Point } from "./load_history.ts";

const minuteMs = 60_000;

export async function findIds(db: Db): Promise<string[]> {
  return (await db.selectFrom("hypervisors").select("id").execute()).map(({ id }) => id);
}

export async function insertSample(db: Db, row: HypervisorLoadRow): Promise<void> {
  await db.insertInto("hypervisor_load").values(row)
    .onConflict((conflict) => conflict.columns(["hypervisor_id", "at"]).doNothing()).execute();
}

export async function dropBefore(db: Db, at: number): Promise<void> {
  await db.deleteFrom("hypervisor_load").where("at", "<", at).execute();
}

/** Replaces samples of single minutes before then by the means of longer times. */
export async function averageBefore(db: Db, before: number, minutes: number): Promise<void> {
  const step = sql.lit(minutes * minuteMs);
  await db.transaction().execute(async (trx) => {
    const means = await sql<HypervisorLoadRow>`
      select hypervisor_id, at / ${step} * ${step} as at, ${
      sql.lit(minutes)
    } as minutes, avg(cpu_percent) as cpu_percent,
        cast(round(avg(memory_used_mib)) as integer) as memory_used_mib,
        cast(round(avg(running)) as integer) as running, cast(round(avg(free_bytes)) as integer) as free_bytes
      from hypervisor_load where minutes = 1 and at < ${before}
      group by hypervisor_id, at / ${step}`.execute(trx);
    await trx.deleteFrom("hypervisor_load").where("minutes", "=", 1).where("at", "<", before).execute();
    for (const row of means.rows) await insertSample(trx, row);
  });
}

/** One point a step, oldest first. */
export async function readPoints(
  db: Db,
  hypervisorId: string,
  from: number,
  stepMs: number,
): Promise<Point[]> {
  const { rows } = await sql<Point>`
    select max(at) as at, avg(cpu_percent) as "cpuPercent",
      cast(round(avg(memory_used_mib)) as integer) as "memoryUsedMiB",
      cast(round(avg(running)) as integer) as running, cast(round(avg(free_bytes)) as integer) as "freeBytes"
    from hypervisor_load where hypervisor_id = ${hypervisorId} and at >= ${from}
    group by at / ${sql.lit(stepMs)} order by at`.execute(db);
  return rows;
}
