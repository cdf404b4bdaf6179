import type { z } from "zod";
import type { ListQuery, Page } from "../../contracts/common.ts";
import type {
  CreateDesktopPool,
  DesktopPool,
  DesktopPoolDetail,
  MyDesktopPool,
  PutEntitlements,
  UpdateDesktopPool,
} from "../../contracts/desktop_pool.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { isUniqueViolation } from "../db/open.ts";
import {
  deletePool,
  insertPool,
  listPools,
  readEntitledUserIds,
  readMachines,
  readMemberIds,
  readPool,
  readPools,
  readPoolsOf,
  readUserIds,
  type StoredPool,
  updatePool,
  writeEntitlements,
  writeMembers,
} from "./store.ts";

export async function listDesktopPools(
  app: App,
  query: z.output<typeof ListQuery>,
): Promise<Page<DesktopPool>> {
  const page = await listPools(app.db, query);
  return { ...page, items: await withCounts(app, page.items) };
}

/** For the event stream: these pools as admins see them. */
export async function renderDesktopPools(app: App, ids: string[]): Promise<DesktopPool[]> {
  return await withCounts(app, await readPools(app.db, ids));
}

/** @throws {AppError} `not_found` */
export async function getDesktopPool(app: App, id: string): Promise<DesktopPoolDetail> {
  const pool = await requirePool(app, id);
  return {
    ...pool,
    counts: await app.broker.counts(id),
    machineIds: await readMemberIds(app.db, id),
    entitlements: { userIds: await readEntitledUserIds(app.db, id), groupIds: [] },
  };
}

/** @throws {AppError} `conflict` when the name is taken */
export async function createDesktopPool(
  app: App,
  wanted: z.output<typeof CreateDesktopPool>,
  by: Actor,
): Promise<DesktopPoolDetail> {
  const id = crypto.randomUUID();
  await orNameTaken(wanted.name, insertPool(app.db, { id, ...wanted, createdAt: app.now() }));
  app.bus.publish({ type: "desktop-pool", id });
  await audit(app, { actor: by, action: "desktop-pool.create", subjectId: id, subjectName: wanted.name });
  return await getDesktopPool(app, id);
}

/** @throws {AppError} `not_found`; `conflict` when the new name is taken */
export async function updateDesktopPool(
  app: App,
  id: string,
  changes: z.output<typeof UpdateDesktopPool>,
  by: Actor,
): Promise<DesktopPoolDetail> {
  const { name } = await requirePool(app, id);
  await orNameTaken(changes.name ?? name, updatePool(app.db, id, changes));
  await app.leases.reconcile();
  app.bus.publish({ type: "desktop-pool", id });
  const detail = JSON.stringify(changes);
  await audit(app, { actor: by, action: "desktop-pool.update", subjectId: id, subjectName: name, detail });
  return await getDesktopPool(app, id);
}

/** Deletes a pool and ends its leases; the machines stay. @throws {AppError} `not_found` */
export async function deleteDesktopPool(app: App, id: string, by: Actor): Promise<void> {
  const { name } = await requirePool(app, id);
  await app.leases.endAllOfPool(id, { reason: `The desktop pool ${name} was deleted.`, by });
  await deletePool(app.db, id);
  app.bus.publish({ type: "desktop-pool-removed", id });
  app.bus.publish({ type: "entitlements", userIds: "all" });
  await audit(app, { actor: by, action: "desktop-pool.delete", subjectId: id, subjectName: name });
}

/**
 * Sets the members. A machine may be in several pools. Whoever uses a machine that is taken out keeps it until the
 * lease ends.
 * @throws {AppError} `not_found`; `invalid` for sources, initials and unknown machines
 */
export async function setPoolMachines(app: App, id: string, machineIds: string[], by: Actor) {
  const { name } = await requirePool(app, id);
  const wanted = [...new Set(machineIds)];
  const before = await readMemberIds(app.db, id);
  const after = await app.db.transaction().execute(async (trx) => {
    const machines = await readMachines(trx, wanted);
    const wrong = machines.find(({ role }) => role !== "vdi" && role !== "simple");
    if (wrong) {
      throw new AppError(
        "invalid",
        `${wrong.name} cannot be in ${name}: it is a ${wrong.role} machine, and users work on vdi or simple ones.`,
      );
    }
    if (machines.length < wanted.length) {
      throw new AppError(
        "invalid",
        `${wanted.length - machines.length} of the machines do not exist any more.`,
      );
    }
    await writeMembers(trx, id, wanted);
    return wanted;
  });
  app.broker.roster.forget(id);
  app.bus.publish({ type: "desktop-pool", id });
  app.bus.publish({ type: "machines", ids: [...difference(before, after), ...difference(after, before)] });
  await audit(app, {
    actor: by,
    action: "desktop-pool.machines",
    subjectId: id,
    subjectName: name,
    detail: `${after.length} machines, ${difference(after, before).length} new`,
  });
  return await getDesktopPool(app, id);
}

/**
 * Sets who may use a pool. The desktops of those who may not any more are taken back at once.
 * @throws {AppError} `not_found`; `invalid` for unknown users and for groups, which need a directory
 */
export async function setEntitlements(
  app: App,
  id: string,
  { userIds, groupIds }: z.output<typeof PutEntitlements>,
  by: Actor,
): Promise<DesktopPoolDetail> {
  const { name } = await requirePool(app, id);
  if (groupIds.length > 0) throw new AppError("invalid", "There are no directory groups in this release.");
  const after = [...new Set(userIds)];
  const before = await app.db.transaction().execute(async (trx) => {
    const known = await readUserIds(trx, after);
    if (known.length < after.length) {
      throw new AppError("invalid", `${after.length - known.length} of the users do not exist any more.`);
    }
    const before = await readEntitledUserIds(trx, id);
    await writeEntitlements(trx, id, after);
    return before;
  });
  await app.leases.reconcile();
  const changed = [...difference(before, after), ...difference(after, before)];
  app.bus.publish({ type: "entitlements", userIds: changed });
  app.bus.publish({ type: "desktop-pool", id });
  await audit(app, {
    actor: by,
    action: "desktop-pool.entitlements",
    subjectId: id,
    subjectName: name,
    detail: `${difference(after, before).length} users added, ${difference(before, after).length} removed`,
  });
  return await getDesktopPool(app, id);
}

/** The pools that a user may use, and what can be had in each now. */
export async function listMyDesktopPools(app: App, userId: string): Promise<MyDesktopPool[]> {
  const pools = await readPoolsOf(app.db, userId);
  return await Promise.all(pools.map(async ({ leaseId, enabled, ...pool }): Promise<MyDesktopPool> => {
    const counts = await app.broker.counts(pool.id);
    const isFree = enabled && (counts.free > 0 || await app.broker.roster.isKeptFor(pool.id, userId));
    const availability = leaseId
      ? "yours"
      : isFree
      ? "ready"
      : !enabled || hasNone(counts)
      ? "unavailable"
      : "full";
    return {
      ...pool,
      availability,
      reason: leaseId || isFree ? null : await app.broker.explainLack({ ...pool, enabled }),
      freeCount: counts.free,
      desktopId: leaseId,
    };
  }));
}

/** Nothing will become free by waiting. */
const hasNone = ({ inUse, starting }: DesktopPool["counts"]) => inUse + starting === 0;

async function requirePool(app: App, id: string): Promise<StoredPool> {
  const pool = await readPool(app.db, id);
  if (pool) return pool;
  throw new AppError("not_found", "This desktop pool does not exist (any more).");
}

async function withCounts(app: App, pools: StoredPool[]): Promise<DesktopPool[]> {
  return await Promise.all(
    pools.map(async (pool) => ({ ...pool, counts: await app.broker.counts(pool.id) })),
  );
}

async function orNameTaken<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new AppError("conflict", `There is a desktop pool named ${name} already.`, { cause: error });
  }
}

function difference(these: string[], those: string[]): string[] {
  const others = new Set(those);
  return these.filter((one) => !others.has(one));
}
