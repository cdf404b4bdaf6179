/**
 * Emptying a hypervisor: no new leases (it is in maintenance), the old ones end when their users leave or when the
 * countdown is over, and desktops that nobody uses are shut down. What is due follows from the rows, so that a restart
 * of the dashboard changes nothing.
 */
import type { z } from "zod";
import type { Drain, UpdateHypervisor } from "../../contracts/hypervisor.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import { noticeLeases } from "../leases/notices.ts";
import { powerMachine } from "../machines/power.ts";
import * as store from "./drain_store.ts";

type Wanted = NonNullable<z.output<typeof UpdateHypervisor>["drain"]>;

/** How long a guest may take to shut down before it is switched off. */
const shutdownSeconds = 120;
/** A guest that is still there after this is asked again. */
const askAgainMs = 5 * 60_000;
const roundMs = 1_000;

/** Begins to empty a hypervisor, or changes how it is done. */
export async function startDrain(
  app: App,
  hypervisorId: string,
  { mode, countdownSeconds }: Wanted,
  actor: Actor,
): Promise<void> {
  const now = app.now();
  const endsAt = mode === "end" ? now + countdownSeconds * 1000 : null;
  const row = await store.writeDrain(app.db, hypervisorId, { mode, since: now, endsAt });
  await noticeLeases(
    app,
    await store.findLeaseIdsOn(app.db, hypervisorId),
    endsAt === null ? null : noticeOf(endsAt),
  );
  app.bus.publish({ type: "hypervisor", id: hypervisorId });
  const detail = mode === "end"
    ? `sessions end in ${countdownSeconds} s`
    : "sessions end when their users leave";
  await audit(app, { actor, action: "hypervisor.drain", subjectId: row.id, subjectName: row.name, detail });
}

/** Ends no more sessions there; it stays in maintenance. */
export async function stopDrain(app: App, hypervisorId: string, actor: Actor): Promise<void> {
  const before = await store.findDrain(app.db, hypervisorId);
  if (!before) return;
  const row = await store.clearDrain(app.db, hypervisorId);
  if (before.mode === "end") {
    await noticeLeases(app, await store.findLeaseIdsOn(app.db, hypervisorId), null);
  }
  app.bus.publish({ type: "hypervisor", id: hypervisorId });
  await audit(app, { actor, action: "hypervisor.drain-stop", subjectId: row.id, subjectName: row.name });
}

/** How far it is; null when it is not being emptied. */
export async function drainOf(
  app: Pick<App, "db">,
  row: HypervisorRow,
): Promise<z.output<typeof Drain> | null> {
  if (row.drain_mode === null) return null;
  return {
    mode: row.drain_mode,
    since: row.drain_since ?? row.created_at,
    endsAt: row.drain_ends_at,
    ...await store.countLeft(app.db, row.id),
  };
}

const noticeOf = (endsAt: number) => ({
  message:
    "This desktop is taken away for maintenance. Save your work and sign out; then open it again elsewhere.",
  endsAt,
});

/** Empties hypervisors from now on; returns the function that ends it and waits for what it is doing. */
export function followDrains(app: App): () => Promise<void> {
  /** Machine id -> when it was asked to shut down. */
  const asked = new Map<string, number>();
  let due = true;
  let draining: store.DrainingHypervisor[] = [];
  let working = Promise.resolve();
  const unsubscribe = app.bus.subscribe((change) => {
    if (change.type === "hypervisor" && !change.load) due = true;
  });
  const round = async () => {
    if (due) {
      due = false;
      draining = await store.findDraining(app.db);
      if (draining.length === 0) asked.clear();
    }
    for (const hypervisor of draining) await empty(app, hypervisor, asked);
  };
  const timer = setInterval(() => {
    working = working.then(round).catch((error) => {
      due = true;
      app.log.error({ err: error }, "emptying a hypervisor failed");
    });
  }, roundMs);
  return async () => {
    clearInterval(timer);
    unsubscribe();
    await working;
  };
}

async function empty(
  app: App,
  { id, name, endsAt }: store.DrainingHypervisor,
  asked: Map<string, number>,
): Promise<void> {
  if (endsAt !== null && endsAt <= app.now()) {
    for (const leaseId of await store.findLeaseIdsOn(app.db, id)) {
      await app.leases.end(leaseId, { reason: `${name} was emptied for maintenance.`, by: null });
    }
  }
  if (!app.agents.status(id).usable) return;
  const idle = new Set((await store.findIdleRunning(app.db, id)).map((machine) => machine.id));
  for (const [machineId, at] of asked) if (at + askAgainMs < app.now()) asked.delete(machineId);
  await Promise.all([...idle].map(async (machineId) => {
    if (asked.has(machineId) || app.jobs.holderOf(machineId)) return;
    asked.set(machineId, app.now());
    const shutdown = { action: "shutdown", timeoutSeconds: shutdownSeconds, force: true } as const;
    try {
      await powerMachine(app, machineId, shutdown, null);
    } catch (error) {
      app.log.warn({ err: error, machineId, hypervisor: name }, "an idle desktop could not be shut down");
    }
  }));
}
