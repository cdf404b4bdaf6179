/** What a pool's schedule does: jobs that start machines before they are needed, and shut down what nobody uses. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import { forEachOf } from "../../lib/for_each.ts";
import type { App } from "../app.ts";
import { conditionOf } from "../broker/placement.ts";
import { type LocalOperation, partialFailure } from "../jobs/service.ts";
import { powerMachine, startMachine } from "../machines/power.ts";
import { findLeaseHolders, findMachineRows } from "../machines/service.ts";
import { pickOff } from "./spares.ts";
import type { TendedPool } from "./store.ts";

const StartInput = z.object({ desktopPoolId: Id, poolName: z.string(), count: z.int() });
const ShutDownInput = z.object({ machineIds: z.array(Id), names: z.record(Id, z.string()) });

/** How long a guest may take to shut down before it is switched off. */
const shutdownSeconds = 120;
const parallelShutdowns = 8;
const connectMs = 15_000;

/** Says what the jobs do. */
export function defineScheduledJobs(app: App): void {
  app.jobs.define("start-desktops", { resumable: true, run: (operation) => startDesktops(app, operation) });
  app.jobs.define("shut-down-desktops", {
    resumable: true,
    run: (operation) => shutDownIdle(app, operation),
  });
}

/** Has so many of the pool's machines run; nothing happens when as many do already. */
export async function beginStart(app: App, pool: TendedPool, count: number): Promise<void> {
  if (await countMissing(app, pool.id, count) <= 0) return;
  await app.jobs.start({
    kind: "start-desktops",
    subject: { id: null, name: pool.name },
    by: null,
    input: { desktopPoolId: pool.id, poolName: pool.name, count },
    progress: { stage: "starting", unit: "items" },
    cancellable: true,
  });
}

async function countMissing(app: App, desktopPoolId: string, count: number): Promise<number> {
  const members = await app.broker.roster.members(desktopPoolId);
  return count - [...members.values()].filter(({ state }) => state === "running").length;
}

async function startDesktops(app: App, operation: LocalOperation): Promise<void> {
  const { desktopPoolId, poolName, count } = StartInput.parse(operation.input);
  const before = await app.broker.roster.members(desktopPoolId);
  await untilConnected(app, [...before.values()].map((one) => one.hypervisorId), operation.signal);
  const missing = await countMissing(app, desktopPoolId, count);
  const members = await app.broker.roster.members(desktopPoolId);
  const context = await app.broker.context({ name: poolName, enabled: true });
  const tried = new Set(operation.job.items.map(({ id }) => id));
  const picked = pickOff(app, members, context, missing, tried);
  operation.report({ total: tried.size + picked.length });
  // Each hypervisor paces its own.
  await forEachOf(picked, Math.max(1, picked.length), operation.signal, async ({ machineId: id, name }) => {
    try {
      await startMachine(app, id, { priority: "mass", signal: operation.signal });
      operation.addItem({ id, name, ok: true, message: null });
    } catch (error) {
      operation.signal.throwIfAborted();
      operation.addItem({ id, name, ok: false, message: errorInfoOf(error).message });
    } finally {
      app.room.release(id, "start");
    }
  });
  const lacking = missing - picked.length;
  if (lacking > 0) {
    const message =
      `${lacking} more of ${poolName} should run, and there is none that can be started now: the others ` +
      "are in use, in maintenance, broken, or on hypervisors without room.";
    operation.addItem({ id: desktopPoolId, name: `${lacking} more`, ok: false, message });
  }
  requireAllOk(operation);
}

/** Shuts down what runs and is free. Nobody is given one of them from the moment that it is chosen. */
export async function beginShutDownIdle(app: App, pool: TendedPool): Promise<void> {
  await app.broker.withoutGiving(async () => {
    const members = await app.broker.roster.members(pool.id);
    const context = await app.broker.context(pool);
    const idle = [...members.values()].filter((machine) =>
      machine.state === "running" && conditionOf(machine, context) === "free"
    );
    if (idle.length === 0) return;
    await app.jobs.start({
      kind: "shut-down-desktops",
      subject: { id: null, name: pool.name },
      by: null,
      machineIds: idle.map(({ machineId }) => machineId),
      input: { names: Object.fromEntries(idle.map(({ machineId, name }) => [machineId, name])) },
      progress: { stage: "shutting down", total: idle.length, unit: "items" },
      cancellable: true,
    });
  });
}

async function shutDownIdle(app: App, operation: LocalOperation): Promise<void> {
  const { machineIds, names } = ShutDownInput.parse(operation.input);
  const dealtWith = new Set(operation.job.items.map(({ id }) => id));
  const due = machineIds.filter((id) => !dealtWith.has(id));
  const rows = await findMachineRows(app, due);
  await untilConnected(app, rows.map((row) => row.hypervisor_id), operation.signal);
  const holders = await findLeaseHolders(app, due);
  await forEachOf(due, parallelShutdowns, operation.signal, async (id) => {
    const name = names[id] ?? id;
    try {
      const holder = holders.get(id);
      if (holder !== undefined) throw new AppError("conflict", `it is in use by ${holder}.`);
      await shutDown(app, id, operation.signal);
      operation.addItem({ id, name, ok: true, message: null });
    } catch (error) {
      operation.signal.throwIfAborted();
      operation.addItem({ id, name, ok: false, message: errorInfoOf(error).message });
    }
  });
  requireAllOk(operation);
}

async function shutDown(app: App, id: string, signal: AbortSignal): Promise<void> {
  const shutdown = { action: "shutdown", timeoutSeconds: shutdownSeconds, force: true } as const;
  await powerMachine(app, id, shutdown, null);
  const patience = AbortSignal.any([signal, AbortSignal.timeout((shutdownSeconds + 60) * 1_000)]);
  await app.agents.waitForDomain(id, ({ domain }) => domain.state === "shut-off", patience);
}

/** Right after a start of the dashboard the hypervisors are being connected; one that stays away is not waited for. */
async function untilConnected(
  app: App,
  hypervisorIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const soon = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
  await Promise.allSettled([...new Set(hypervisorIds)].map((id) => app.agents.untilUsable(id, soon)));
  signal.throwIfAborted();
}

function requireAllOk({ job: { items } }: LocalOperation): void {
  if (items.every(({ ok }) => ok)) return;
  const { code, message } = partialFailure(items);
  throw new AppError(code, message);
}
