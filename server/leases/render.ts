/** Leases as users and admins see them. */
import { type Desktop, type Lease, PlacementReason } from "../../contracts/desktop.ts";
import type { App } from "../app.ts";
import { lossOf } from "./lost.ts";
import { type LeaseDetail, readActiveLeasesOf, readLease, readLeases } from "./store.ts";

/** Stands for a user, pool or machine that has been deleted. */
const nobody = "00000000-0000-0000-0000-000000000000";

type Rendering = Pick<App, "leases" | "agents" | "starts">;

export function toDesktop(app: Rendering, lease: LeaseDetail): Desktop {
  const { machine, policy } = lease;
  const isActive = lease.endedAt === null;
  return {
    id: lease.id,
    desktopPoolId: lease.desktopPoolId ?? nobody,
    desktopPoolName: lease.desktopPoolName,
    state: lease.state,
    stage: lease.stage,
    machine: machine && { id: machine.id, name: machine.name, state: machine.state },
    error: lease.error ?? lossOf(app, lease),
    userPower: policy?.userPower ?? false,
    volatile: machine !== null && (machine.virtualSnapshot || policy?.afterUse === "reset"),
    terminal: lease.terminal,
    notice: isActive ? lease.notice : null,
    queued: isActive && machine ? app.starts.placeOf(machine.id) : null,
    startedAt: lease.startedAt,
    readyAt: lease.readyAt,
    lastHeartbeatAt: app.leases.lastHeartbeatAt(lease.id) ?? lease.lastHeartbeatAt,
  };
}

export function toLease(app: Rendering, lease: LeaseDetail): Lease {
  const { machine } = lease;
  const live = machine && lease.endedAt === null ? app.agents.domain(machine.id, machine.hypervisorId) : null;
  return {
    ...toDesktop(app, lease),
    userId: lease.userId ?? nobody,
    username: lease.username,
    hypervisorName: machine?.hypervisorName ?? null,
    viewers: live?.domain.viewers.length ?? 0,
    explanation: lease.explanation,
    reasons: PlacementReason.array().parse(JSON.parse(lease.reasons)),
    endedAt: lease.endedAt,
    endReason: lease.endReason,
  };
}

/** For the event stream: these leases as admins see them. */
export async function renderLeases(app: App, ids: string[]): Promise<Lease[]> {
  return (await readLeases(app.db, ids)).map((lease) => toLease(app, lease));
}

/** For the event stream: one lease as its user sees it, and why it ended if it did; null when there is none. */
export async function renderMyDesktop(
  app: App,
  id: string,
): Promise<{ userId: string | null; desktop: Desktop; endReason: string | null } | null> {
  const lease = await readLease(app.db, id);
  return lease ? { userId: lease.userId, desktop: toDesktop(app, lease), endReason: lease.endReason } : null;
}

/** For the event stream's snapshot: what the user holds. */
export async function renderMyDesktops(app: App, userId: string): Promise<Desktop[]> {
  return (await readActiveLeasesOf(app.db, userId)).map((lease) => toDesktop(app, lease));
}
