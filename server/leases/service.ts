/** What routes ask of leases: the user's own desktops, and the admin's list of them. */
import type { z } from "zod";
import type { Page } from "../../contracts/common.ts";
import type { Connection, Desktop, Lease, LeaseQuery, UserPowerRequest } from "../../contracts/desktop.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Actor, App } from "../app.ts";
import { makeConnection } from "../gateway/connection.ts";
import { powerMachine } from "../machines/power.ts";
import { renderMyDesktops, toDesktop, toLease } from "./render.ts";
import { listLeases as listStoredLeases, readLease } from "./store.ts";

export async function listLeases(app: App, query: z.output<typeof LeaseQuery>): Promise<Page<Lease>> {
  const page = await listStoredLeases(app.db, query);
  return { ...page, items: page.items.map((lease) => toLease(app, lease)) };
}

/** Ends anybody's lease. @throws {AppError} `not_found`; `conflict` once it has ended */
export async function endLease(app: App, id: string, by: Actor): Promise<void> {
  const lease = await readLease(app.db, id);
  if (!lease) throw new AppError("not_found", "There is no such session.");
  if (lease.endedAt !== null) throw new AppError("conflict", "This session has ended already.");
  await app.leases.end(id, { reason: `Ended by ${by.username}.`, by });
}

export const listMyDesktops = (app: App, actor: Actor): Promise<Desktop[]> => renderMyDesktops(app, actor.id);

export async function getMyDesktop(app: App, id: string, actor: Actor): Promise<Desktop> {
  return toDesktop(app, await app.leases.ownLease(actor, id));
}

/** Gives the desktop back; giving it back twice is no error. */
export async function endMyDesktop(app: App, id: string, actor: Actor): Promise<void> {
  const lease = await app.leases.ownLease(actor, id);
  if (lease.endedAt === null) await app.leases.end(id, { reason: "Given back by the user.", by: actor });
}

/** @throws {AppError} `conflict` while the desktop is not ready, is off, or once the lease has ended */
export async function connectMyDesktop(app: App, id: string, actor: Actor): Promise<Connection> {
  const { machine, state, desktopPoolName } = await app.leases.ownActiveLease(actor, id);
  if (state !== "ready") {
    throw new AppError("conflict", `${desktopPoolName} is still being prepared. Wait a moment.`);
  }
  if (machine.state !== "running") {
    throw new AppError("conflict", `${machine.name} is switched off. Open the desktop again to start it.`);
  }
  await app.leases.heartbeat(actor, id);
  const connection = await makeConnection(app, machine, actor.id, id);
  if (app.leases.isActive(id)) return { ...connection, title: desktopPoolName };
  app.tickets.revoke({ leaseId: id }, "leaseEnded");
  throw new AppError("conflict", "Your use of this desktop has ended meanwhile. Open it again.");
}

/** @throws {AppError} `forbidden` where the pool does not permit it; `conflict` once the lease has ended */
export async function powerMyDesktop(
  app: App,
  id: string,
  { action }: z.output<typeof UserPowerRequest>,
  actor: Actor,
): Promise<Desktop> {
  const { machine, policy, desktopPoolName } = await app.leases.ownActiveLease(actor, id);
  if (!policy?.userPower) {
    throw new AppError(
      "forbidden",
      `${desktopPoolName} does not let its users switch machines off or restart them.`,
    );
  }
  await powerMachine(app, machine.id, { action }, actor);
  return await getMyDesktop(app, id, actor);
}
