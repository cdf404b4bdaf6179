import { sql } from "kysely";
import { DataDiskPolicy } from "../../contracts/storage.ts";
import { prepare } from "../db/prepared.ts";
import type { Db, Flag } from "../db/schema.ts";
import { capacityOf } from "../hypervisors/capacity.ts";
import type { Candidate } from "./placement.ts";
import type { PlacementReason } from "./reasons.ts";

/** Whether somebody's lease of the machine ended after its overlay was made. */
const wasUsed = sql<Flag>`exists (
  select 1 from leases as past where past.machine_id = machine.id and past.ended_at > coalesce(machine.populated_at, 0))`;

const members = (db: Db, desktopPoolId: string) =>
  db.selectFrom("desktop_pool_machines as member")
    .innerJoin("machines as machine", "machine.id", "member.machine_id")
    .leftJoin("machines as image", "image.id", "machine.source_id")
    .leftJoin(
      "leases as lease",
      (join) => join.onRef("lease.machine_id", "=", "machine.id").on("lease.ended_at", "is", null),
    )
    .where("member.desktop_pool_id", "=", desktopPoolId)
    .orderBy("machine.name_key")
    .select([
      "machine.id",
      "machine.name",
      "machine.role",
      "machine.hypervisor_id",
      "machine.state",
      "machine.maintenance",
      "machine.locked",
      "machine.virtual_snapshot",
      "machine.populated_at",
      "machine.memory_mib",
      "machine.vcpus",
      "machine.version_id",
      "image.current_version_id",
      "machine.kept_for_user_id",
      "machine.kept_until",
      "lease.id as lease_id",
      "lease.user_id as lease_user_id",
      "lease.state as lease_state",
      wasUsed.as("used"),
    ]);
const findMembers = prepare((db, desktopPoolId: string) => members(db, desktopPoolId));
const findMember = prepare((db, desktopPoolId: string, machineId: string) =>
  members(db, desktopPoolId).where("machine.id", "=", machineId)
);

/** The members of a desktop pool by name, or those of them that are named. */
export async function readMembers(
  db: Db,
  desktopPoolId: string,
  machineIds?: string[],
): Promise<Candidate[]> {
  if (machineIds === undefined) return (await findMembers(db, desktopPoolId)).map(toCandidate);
  const [only] = machineIds;
  if (machineIds.length === 1 && only) return (await findMember(db, desktopPoolId, only)).map(toCandidate);
  return (await members(db, desktopPoolId).where("machine.id", "in", machineIds).execute()).map(toCandidate);
}

type MemberRow = Awaited<ReturnType<typeof findMembers>>[number];

const toCandidate = (row: MemberRow): Candidate => ({
  machineId: row.id,
  name: row.name,
  role: row.role,
  hypervisorId: row.hypervisor_id,
  state: row.state,
  maintenance: row.maintenance === 1,
  locked: row.locked === 1,
  virtualSnapshot: row.virtual_snapshot === 1,
  populated: row.populated_at !== null,
  outdated: row.version_id !== null && row.current_version_id !== null &&
    row.version_id !== row.current_version_id,
  used: row.virtual_snapshot === 0 && row.used === 1,
  keptFor: row.kept_until === null ? null : { userId: row.kept_for_user_id },
  memoryMiB: row.memory_mib,
  vcpus: row.vcpus,
  lease: row.lease_id === null
    ? null
    : { id: row.lease_id, userId: row.lease_user_id, ready: row.lease_state === "ready" },
});

/** An open job works on the machine: on it alone, or on it among those that its input names. */
const isInOpenJob = sql<Flag>`exists (
  select 1 from jobs where jobs.state in ('queued', 'running')
    and (jobs.subject_id = machine.id or jobs.input like '%' || machine.id || '%'))`;

const findFree = prepare((db, desktopPoolId: string, machineId: string, userId: string) =>
  db.selectFrom("desktop_pool_machines as member")
    .innerJoin("machines as machine", "machine.id", "member.machine_id")
    .innerJoin("hypervisors as hypervisor", "hypervisor.id", "machine.hypervisor_id")
    .where("member.desktop_pool_id", "=", desktopPoolId)
    .where("member.machine_id", "=", machineId)
    .where("machine.maintenance", "=", 0)
    .where("machine.locked", "=", 0)
    .where("hypervisor.maintenance", "=", 0)
    .where((where) =>
      where.or([where("machine.role", "=", "simple"), where("machine.populated_at", "is not", null)])
    )
    .where((where) =>
      where.or([where("machine.kept_until", "is", null), where("machine.kept_for_user_id", "=", userId)])
    )
    .where(sql<boolean>`not ${isInOpenJob}`)
    .select((build) => [
      "machine.kept_until",
      build.selectFrom("data_disks as disk").whereRef("disk.attached_to", "=", "machine.id").select(
        "disk.scope",
      )
        .as("disk_scope"),
    ])
);

/**
 * Takes a member that could be given to this user at this very moment, as far as the database knows; one that was kept
 * for the user is not kept any more then, but given. Null when it is not free (any more).
 */
export async function takeFree(
  trx: Db,
  desktopPoolId: string,
  machineId: string,
  userId: string,
): Promise<{ attachedDisk: DataDiskPolicy["scope"] | null } | null> {
  const [free] = await findFree(trx, desktopPoolId, machineId, userId);
  if (!free) return null;
  if (free.kept_until !== null) await keepMachine(trx, machineId, null);
  return { attachedDisk: free.disk_scope };
}

/** Keeps a machine for a user until then (Unix ms); null: nobody. */
export async function keepMachine(
  db: Db,
  machineId: string,
  keep: { userId: string; until: number } | null,
): Promise<void> {
  await db.updateTable("machines").set({
    kept_for_user_id: keep?.userId ?? null,
    kept_until: keep?.until ?? null,
  }).where("id", "=", machineId).execute();
}

export interface NewLease {
  id: string;
  user: { id: string; username: string };
  desktopPool: { id: string; name: string };
  machine: { id: string; name: string };
  /** The machine runs already: the desktop is ready at once. */
  ready: boolean;
  terminal: string | null;
  explanation: string;
  reasons: PlacementReason[];
  startedAt: number;
}

/** @throws on a violation of the unique indexes: the machine is taken, or the user has a desktop in this pool. */
export async function insertLease(trx: Db, lease: NewLease): Promise<void> {
  await trx.insertInto("leases").values({
    id: lease.id,
    user_id: lease.user.id,
    username: lease.user.username,
    desktop_pool_id: lease.desktopPool.id,
    desktop_pool_name: lease.desktopPool.name,
    machine_id: lease.machine.id,
    machine_name: lease.machine.name,
    state: lease.ready ? "ready" : "preparing",
    stage: lease.ready ? "ready" : "allocated",
    error: null,
    terminal: lease.terminal,
    explanation: lease.explanation,
    reasons: JSON.stringify(lease.reasons),
    notice: null,
    started_at: lease.startedAt,
    ready_at: lease.ready ? lease.startedAt : null,
    last_heartbeat_at: lease.startedAt,
    ended_at: null,
    end_reason: null,
  }).execute();
}

/** Ends a lease that has not ended. */
export async function endLease(trx: Db, leaseId: string, reason: string, endedAt: number): Promise<void> {
  await trx.updateTable("leases").set({ state: "ended", end_reason: reason, ended_at: endedAt })
    .where("id", "=", leaseId).where("ended_at", "is", null).execute();
}

/** Moves an active lease to another machine. @throws as `insertLease`. */
export async function moveLease(
  trx: Db,
  leaseId: string,
  machine: { id: string; name: string },
  why: { explanation: string; reasons: PlacementReason[] },
): Promise<boolean> {
  const { numUpdatedRows } = await trx.updateTable("leases")
    .set({
      machine_id: machine.id,
      machine_name: machine.name,
      stage: "allocated",
      explanation: why.explanation,
      reasons: JSON.stringify(why.reasons),
    })
    .where("id", "=", leaseId).where("ended_at", "is", null).executeTakeFirst();
  return numUpdatedRows === 1n;
}

const findEntitlement = prepare((db, desktopPoolId: string, userId: string) =>
  db.selectFrom("desktop_pools as pool")
    .leftJoin(
      "entitlements as entitlement",
      (join) =>
        join.onRef("entitlement.desktop_pool_id", "=", "pool.id").on("entitlement.user_id", "=", userId),
    )
    .leftJoin("users as user", "user.id", "entitlement.user_id")
    .leftJoin(
      "leases as lease",
      (join) =>
        join.onRef("lease.desktop_pool_id", "=", "pool.id").on("lease.user_id", "=", userId)
          .on("lease.ended_at", "is", null),
    )
    .where("pool.id", "=", desktopPoolId)
    .select([
      "pool.id",
      "pool.name",
      "pool.enabled",
      "pool.data_disk",
      "user.disabled",
      "user.username",
      "lease.id as lease_id",
      "lease.machine_id",
      "lease.machine_name",
    ])
);

/** What a user is to a desktop pool. */
export interface Entitlement {
  pool: { id: string; name: string; enabled: boolean; dataDisk: DataDiskPolicy["scope"] | null };
  /** Null without entitlement, or when the account is disabled. */
  user: { id: string; username: string } | null;
  /** What the user holds in it already. */
  own: { leaseId: string; machineId: string | null; machineName: string } | null;
}

/** Undefined when there is no such pool. */
export async function readEntitlement(
  db: Db,
  desktopPoolId: string,
  userId: string,
): Promise<Entitlement | undefined> {
  const [row] = await findEntitlement(db, desktopPoolId, userId);
  return row && {
    pool: {
      id: row.id,
      name: row.name,
      enabled: row.enabled === 1,
      dataDisk: row.data_disk === null ? null : DataDiskPolicy.parse(JSON.parse(row.data_disk)).scope,
    },
    user: row.disabled === 0 && row.username !== null ? { id: userId, username: row.username } : null,
    own: row.lease_id === null
      ? null
      : { leaseId: row.lease_id, machineId: row.machine_id, machineName: row.machine_name! },
  };
}

/** What placement needs of the rows of all hypervisors. */
export async function readHypervisors(db: Db) {
  const rows = await db.selectFrom("hypervisors").select([
    "id",
    "name",
    "maintenance",
    "memory_overcommit",
    "cpu_overcommit",
    "max_running",
    "max_starting",
    "start_cpu_percent",
  ]).execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    maintenance: row.maintenance === 1,
    capacity: capacityOf(row),
  }));
}
