import { sql } from "kysely";
import type { z } from "zod";
import type { Page } from "../../contracts/common.ts";
import { Desktop, type DesktopStage, type DesktopState, type LeaseQuery } from "../../contracts/desktop.ts";
import { ErrorInfo } from "../../contracts/errors.ts";
import { escapeLike } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import { prepare } from "../db/prepared.ts";
import type { Db } from "../db/schema.ts";

export const Notice = Desktop.shape.notice.unwrap();
export type Notice = z.infer<typeof Notice>;

/** Everything about a lease that decisions and answers need, from one query. */
export interface LeaseDetail {
  id: string;
  userId: string | null;
  username: string;
  desktopPoolId: string | null;
  desktopPoolName: string;
  state: DesktopState;
  stage: z.infer<typeof DesktopStage>;
  error: z.infer<typeof ErrorInfo> | null;
  terminal: string | null;
  explanation: string;
  /** JSON, PlacementReason[]: read thousands of times a second, looked at by admins only. */
  reasons: string;
  /** The session is going to be ended then. */
  notice: Notice | null;
  startedAt: number;
  readyAt: number | null;
  lastHeartbeatAt: number;
  endedAt: number | null;
  endReason: string | null;
  /** Null once the pool is deleted. */
  policy: { afterUse: "keep" | "shutdown" | "reset"; returnAfterMinutes: number; userPower: boolean } | null;
  /** Null once the machine is deleted. */
  machine: {
    id: string;
    name: string;
    role: string;
    state: NonNullable<Desktop["machine"]>["state"];
    virtualSnapshot: boolean;
    hypervisorId: string;
    hypervisorName: string;
    memoryMiB: number;
    vcpus: number;
  } | null;
  /** The user may (still) have a desktop of this pool. */
  entitled: boolean;
}

const leases = (db: Db) =>
  db.selectFrom("leases as lease")
    .leftJoin("desktop_pools as pool", "pool.id", "lease.desktop_pool_id")
    .leftJoin("machines as machine", "machine.id", "lease.machine_id")
    .leftJoin("hypervisors as hypervisor", "hypervisor.id", "machine.hypervisor_id")
    .leftJoin("entitlements as entitlement", (join) =>
      join.onRef("entitlement.desktop_pool_id", "=", "lease.desktop_pool_id")
        .onRef("entitlement.user_id", "=", "lease.user_id"))
    .leftJoin("users as user", "user.id", "lease.user_id");

const details = (query: ReturnType<typeof leases>) =>
  query.select([
    "lease.id",
    "lease.user_id",
    "lease.username",
    "lease.desktop_pool_id",
    "lease.desktop_pool_name",
    "lease.state",
    "lease.stage",
    "lease.error",
    "lease.terminal",
    "lease.explanation",
    "lease.reasons",
    "lease.notice",
    "lease.started_at",
    "lease.ready_at",
    "lease.last_heartbeat_at",
    "lease.ended_at",
    "lease.end_reason",
    "pool.after_use",
    "pool.return_after_minutes",
    "pool.user_power",
    "machine.id as machine_id",
    "machine.name as machine_name",
    "machine.role as machine_role",
    "machine.state as machine_state",
    "machine.virtual_snapshot",
    "machine.hypervisor_id",
    "machine.memory_mib",
    "machine.vcpus",
    "hypervisor.name as hypervisor_name",
    "entitlement.user_id as entitled_user_id",
    "user.disabled",
  ]);

type Row = Awaited<ReturnType<ReturnType<typeof details>["execute"]>>[number];

function toDetail(row: Row): LeaseDetail {
  return {
    id: row.id,
    userId: row.user_id,
    username: row.username,
    desktopPoolId: row.desktop_pool_id,
    desktopPoolName: row.desktop_pool_name,
    state: row.state,
    stage: row.stage,
    error: row.error === null ? null : ErrorInfo.parse(JSON.parse(row.error)),
    terminal: row.terminal,
    explanation: row.explanation,
    reasons: row.reasons,
    notice: row.notice === null ? null : Notice.parse(JSON.parse(row.notice)),
    startedAt: row.started_at,
    readyAt: row.ready_at,
    lastHeartbeatAt: row.last_heartbeat_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    policy: row.after_use === null ? null : {
      afterUse: row.after_use,
      returnAfterMinutes: row.return_after_minutes!,
      userPower: row.user_power === 1,
    },
    machine: row.machine_id === null ? null : {
      id: row.machine_id,
      name: row.machine_name!,
      role: row.machine_role!,
      state: row.machine_state!,
      virtualSnapshot: row.virtual_snapshot === 1,
      hypervisorId: row.hypervisor_id!,
      hypervisorName: row.hypervisor_name!,
      memoryMiB: row.memory_mib!,
      vcpus: row.vcpus!,
    },
    entitled: row.entitled_user_id !== null && row.disabled === 0,
  };
}

const findById = prepare((db, id: string) => details(leases(db)).where("lease.id", "=", id));
const findOwn = prepare((db, userId: string, desktopPoolId: string) =>
  details(leases(db)).where("lease.user_id", "=", userId).where("lease.desktop_pool_id", "=", desktopPoolId)
    .where("lease.ended_at", "is", null)
);

export async function readLease(db: Db, id: string): Promise<LeaseDetail | undefined> {
  const [row] = await findById(db, id);
  return row && toDetail(row);
}

export async function readLeases(db: Db, ids: string[]): Promise<LeaseDetail[]> {
  if (ids.length === 0) return [];
  return (await details(leases(db)).where("lease.id", "in", ids).execute()).map(toDetail);
}

/** All that have not ended; with `ofUserOrNobody`, those of this user and of deleted ones. */
export async function readActiveLeases(
  db: Db,
  { ofUserOrNobody: userId }: { ofUserOrNobody?: string } = {},
): Promise<LeaseDetail[]> {
  const rows = await details(leases(db)).where("lease.ended_at", "is", null)
    .$if(
      userId !== undefined,
      (query) =>
        query.where((where) =>
          where.or([where("lease.user_id", "=", userId!), where("lease.user_id", "is", null)])
        ),
    )
    .orderBy("lease.started_at").execute();
  return rows.map(toDetail);
}

/** What a user holds. */
export async function readActiveLeasesOf(db: Db, userId: string): Promise<LeaseDetail[]> {
  const rows = await details(leases(db)).where("lease.ended_at", "is", null).where(
    "lease.user_id",
    "=",
    userId,
  )
    .orderBy("lease.started_at").execute();
  return rows.map(toDetail);
}

/** The user's active lease in a pool. */
export async function readOwn(
  db: Db,
  userId: string,
  desktopPoolId: string,
): Promise<LeaseDetail | undefined> {
  const [row] = await findOwn(db, userId, desktopPoolId);
  return row && toDetail(row);
}

/** One page, newest first. */
export async function listLeases(db: Db, query: z.output<typeof LeaseQuery>): Promise<Page<LeaseDetail>> {
  const pattern = query.q ? `%${escapeLike(query.q)}%` : undefined;
  const matching = leases(db)
    .$if(query.active && query.state === undefined, (lease) => lease.where("lease.ended_at", "is", null))
    .$if(query.state !== undefined, (lease) => lease.where("lease.state", "=", query.state!))
    .$if(
      query.desktopPoolId !== undefined,
      (lease) => lease.where("lease.desktop_pool_id", "=", query.desktopPoolId!),
    )
    .$if(query.userId !== undefined, (lease) => lease.where("lease.user_id", "=", query.userId!))
    .$if(query.machineId !== undefined, (lease) => lease.where("lease.machine_id", "=", query.machineId!))
    .$if(pattern !== undefined, (lease) =>
      lease.where((where) =>
        where.or(
          (["lease.username", "lease.machine_name", "lease.desktop_pool_name", "lease.terminal"] as const)
            .map((column) => sql<boolean>`${sql.ref(column)} like ${pattern} escape '\\'`),
        )
      ));
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const [startedAt, id] = (query.cursor ?? "").split("_");
  const rows = await details(matching)
    .$if(id !== undefined, (lease) =>
      lease.where((where) =>
        where.or([
          where("lease.started_at", "<", Number(startedAt)),
          where.and([where("lease.started_at", "=", Number(startedAt)), where("lease.id", "<", id!)]),
        ])
      ))
    .orderBy("lease.started_at", "desc").orderBy("lease.id", "desc")
    .limit(query.limit + 1)
    .$if(query.offset !== undefined && id === undefined, (lease) => lease.offset(query.offset!))
    .execute();
  return cursorPage(rows.map(toDetail), query.limit, total, (last) => `${last.startedAt}_${last.id}`);
}

/** What changes of a lease while it is active. Returns false when it is not (any more). */
export async function updateActive(
  db: Db,
  id: string,
  changes: Partial<{
    state: "preparing" | "ready";
    stage: z.infer<typeof DesktopStage>;
    ready_at: number;
    terminal: string;
    /** JSON, ErrorInfo. */
    error: string | null;
  }>,
): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable("leases").set(changes)
    .where("id", "=", id).where("ended_at", "is", null).executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Ends a lease; its machine is free from then on. Returns false when it had ended before. */
export async function finishLease(
  db: Db,
  id: string,
  end: {
    state: "ended" | "failed";
    reason: string;
    error: z.infer<typeof ErrorInfo> | null;
    endedAt: number;
  },
): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable("leases")
    .set({
      state: end.state,
      end_reason: end.reason,
      error: end.error && JSON.stringify(end.error),
      ended_at: end.endedAt,
    })
    .where("id", "=", id).where("ended_at", "is", null).executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Leases that are told apart in one statement. */
const batchSize = 500;

/** Notes one time for many leases. */
export async function writeHeartbeats(db: Db, ids: string[], at: number): Promise<void> {
  for (let start = 0; start < ids.length; start += batchSize) {
    await db.updateTable("leases").set({ last_heartbeat_at: at })
      .where("id", "in", ids.slice(start, start + batchSize)).where("ended_at", "is", null).execute();
  }
}

/** Puts a notice on those of these leases that are active, or takes it away; returns them. */
export async function writeNotice(db: Db, ids: readonly string[], notice: Notice | null) {
  const told: { id: string; userId: string | null }[] = [];
  for (let start = 0; start < ids.length; start += batchSize) {
    told.push(
      ...await db.updateTable("leases").set({ notice: notice && JSON.stringify(notice) })
        .where("id", "in", ids.slice(start, start + batchSize)).where("ended_at", "is", null)
        .returning(["id", "user_id as userId"]).execute(),
    );
  }
  return told;
}

/** Machines that are kept for users who lost them, with the last lease of each. */
export async function readKept(db: Db) {
  return await db.selectFrom("machines as machine").where("machine.kept_until", "is not", null)
    .select((build) => [
      "machine.id",
      "machine.name",
      "machine.kept_for_user_id",
      "machine.kept_until",
      "machine.hypervisor_id",
      "machine.virtual_snapshot",
      build.selectFrom("leases as lease").whereRef("lease.machine_id", "=", "machine.id")
        .orderBy("lease.started_at", "desc").limit(1).select("lease.id").as("lease_id"),
    ]).execute();
}

/** Keeps a machine for its user until then (Unix ms), or lets go of it. */
export async function writeKeep(
  db: Db,
  machineId: string,
  keep: { userId: string; until: number } | null,
): Promise<void> {
  await db.updateTable("machines")
    .set({ kept_for_user_id: keep?.userId ?? null, kept_until: keep?.until ?? null })
    .where("id", "=", machineId).execute();
}
