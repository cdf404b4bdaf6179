import { sql } from "kysely";
import type { Db, HypervisorRow } from "../db/schema.ts";

export interface StoredDrain {
  mode: "wait" | "end";
  since: number;
  endsAt: number | null;
}
export interface DrainingHypervisor {
  id: string;
  name: string;
  endsAt: number | null;
}

/** Puts a hypervisor into maintenance, being emptied. */
export async function writeDrain(
  db: Db,
  id: string,
  { mode, since, endsAt }: StoredDrain,
): Promise<HypervisorRow> {
  return await db.updateTable("hypervisors")
    .set({ maintenance: 1, drain_mode: mode, drain_since: since, drain_ends_at: endsAt })
    .where("id", "=", id).returningAll().executeTakeFirstOrThrow();
}

export async function clearDrain(db: Db, id: string): Promise<HypervisorRow> {
  return await db.updateTable("hypervisors").set({ drain_mode: null, drain_since: null, drain_ends_at: null })
    .where("id", "=", id).returningAll().executeTakeFirstOrThrow();
}

export async function findDrain(db: Db, id: string): Promise<{ mode: "wait" | "end" } | null> {
  const row = await db.selectFrom("hypervisors").select("drain_mode").where("id", "=", id).executeTakeFirst();
  return row?.drain_mode ? { mode: row.drain_mode } : null;
}

export async function findDraining(db: Db): Promise<DrainingHypervisor[]> {
  return await db.selectFrom("hypervisors").where("drain_mode", "is not", null)
    .select(["id", "name", "drain_ends_at as endsAt"]).execute();
}

/** Active leases of the machines there. */
export async function findLeaseIdsOn(db: Db, hypervisorId: string): Promise<string[]> {
  const rows = await db.selectFrom("leases").innerJoin("machines", "machines.id", "leases.machine_id")
    .where("machines.hypervisor_id", "=", hypervisorId).where("leases.ended_at", "is", null)
    .select("leases.id").execute();
  return rows.map(({ id }) => id);
}

/** Machines of desktop pools that run there. */
const runningDesktops = (db: Db, hypervisorId: string) =>
  db.selectFrom("machines as machine").where("machine.hypervisor_id", "=", hypervisorId)
    .where("machine.state", "not in", ["shut-off", "crashed", "unknown"])
    .where(
      sql<
        boolean
      >`exists (select 1 from desktop_pool_machines as member where member.machine_id = machine.id)`,
    );

/** Those of them that nobody uses and nobody's work is kept on. */
export async function findIdleRunning(db: Db, hypervisorId: string): Promise<{ id: string }[]> {
  return await runningDesktops(db, hypervisorId)
    .where("machine.kept_until", "is", null)
    .where(sql<boolean>`not exists (
      select 1 from leases as lease where lease.machine_id = machine.id and lease.ended_at is null)`)
    .select("machine.id").execute();
}

export async function countLeft(db: Db, hypervisorId: string) {
  const { running } = await runningDesktops(db, hypervisorId)
    .select(({ fn }) => fn.countAll<number>().as("running")).executeTakeFirstOrThrow();
  return { sessionsLeft: (await findLeaseIdsOn(db, hypervisorId)).length, runningLeft: running };
}
