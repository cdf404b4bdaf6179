/**
 * Desktops whose hypervisor is out of reach. Nobody's work is thrown away: whoever asks again gets another machine, and
 * the lost one is kept for its user until it is back or the time of the settings is up.
 */
import type { z } from "zod";
import type { ErrorInfo } from "../../contracts/errors.ts";
import type { Actor, App } from "../app.ts";
import { AppError } from "../../contracts/errors.ts";
import { audit } from "../audit/service.ts";
import { requireMachine } from "../machines/service.ts";
import { beginReturn } from "./return_machine.ts";
import { type LeaseDetail, readKept, readLease, writeKeep } from "./store.ts";

/** A connection that is gone for less than this moves nobody. */
export const lostAfterMs = 20_000;
const hourMs = 3_600_000;

/** For people: an active lease whose machine cannot be reached. */
export function lossOf(
  app: Pick<App, "agents">,
  { machine, endedAt }: Pick<LeaseDetail, "machine" | "endedAt">,
): z.infer<typeof ErrorInfo> | null {
  if (!machine || endedAt !== null) return null;
  const { state, reason } = app.agents.status(machine.hypervisorId);
  if (state !== "offline") return null;
  const message = `The hypervisor ${machine.hypervisorName} is offline${reason ? `: ${reason}` : "."} ` +
    `Work that is open on ${machine.name} goes on if it still runs. Open the desktop again to get another one.`;
  return { code: "unavailable", message };
}

/** Whether the lease's machine has been out of reach for so long that its user gets another one. */
export function isLost(app: Pick<App, "agents" | "now">, { machine }: Pick<LeaseDetail, "machine">): boolean {
  if (!machine) return false;
  const { state, since } = app.agents.status(machine.hypervisorId);
  return state === "offline" && app.now() - since >= lostAfterMs;
}

/** Until when a machine that is lost now is kept, Unix ms; null where the settings keep none. */
export function keepUntil(app: Pick<App, "settings" | "now">): number | null {
  const { keepLostDesktopHours } = app.settings.current();
  return keepLostDesktopHours > 0 ? app.now() + keepLostDesktopHours * hourMs : null;
}

/** Keeps the machine of a lease that ends while it is out of reach; false when it cannot be kept. */
export async function keepLost(app: App, { machine, userId }: LeaseDetail): Promise<boolean> {
  const until = keepUntil(app);
  if (!machine || userId === null || until === null) return false;
  await writeKeep(app.db, machine.id, { userId, until });
  return true;
}

/** Returns what has been kept long enough, or for nothing any more, as its pool's policy says. */
export async function returnExpired(app: App): Promise<void> {
  for (const kept of await readKept(app.db)) if (isOver(app, kept)) await letGo(app, kept, null);
}

type Kept = Awaited<ReturnType<typeof readKept>>[number];

function isOver(app: App, kept: Kept): boolean {
  if (kept.kept_for_user_id === null || kept.kept_until! <= app.now()) return true;
  // What was on a virtual snapshot went with the power of its host.
  const domain = app.agents.domain(kept.id, kept.hypervisor_id)?.domain;
  return kept.virtual_snapshot === 1 && domain?.state === "shut-off";
}

/**
 * Lets go of a machine that is kept for somebody: it is returned by policy, and what is on it may be lost.
 * @throws {AppError} `not_found`; `conflict` if it is not kept
 */
export async function releaseKept(app: App, machineId: string, by: Actor): Promise<void> {
  const machine = await requireMachine(app, machineId);
  const kept = (await readKept(app.db)).find(({ id }) => id === machineId);
  if (!kept) throw new AppError("conflict", `${machine.name} is not kept for anybody.`);
  await letGo(app, kept, by);
  await audit(app, { actor: by, action: "machine.release", subjectId: machineId, subjectName: machine.name });
}

async function letGo(app: App, kept: Kept, by: Actor | null) {
  const lease = kept.lease_id === null ? undefined : await readLease(app.db, kept.lease_id);
  try {
    // The job has the machine before anybody can be given it.
    if (lease) await beginReturn(app, lease, by);
  } catch (error) {
    // Another job has it: its end decides what becomes of the machine, and the next round tries again.
    if (error instanceof AppError && error.code === "conflict") return;
    throw error;
  }
  await writeKeep(app.db, kept.id, null);
  app.bus.publish({ type: "machines", ids: [kept.id] });
}
