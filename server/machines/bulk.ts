/** One action on many machines: a job with an item for each, a few at a time, whatever happens to the others. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import { BulkAction, type BulkRequest, type Role } from "../../contracts/machine.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { deleteCopies, findCopiesElsewhere } from "../images/gc.ts";
import { populateClones, sortOut } from "../images/populate.ts";
import { type LocalOperation, partialFailure } from "../jobs/service.ts";
import { deletionOf, requireDeletable } from "./delete.ts";
import { forEachOf } from "../../lib/for_each.ts";
import { powerMachine, startMachine } from "./power.ts";
import { changeMachines, findMachineRows, requireNotHeld } from "./service.ts";

const width = 8;

const Input = z.object({ action: BulkAction, ids: z.array(Id) });

/** Starts a bulk action and returns its job. @throws {AppError} `not_found` when none of the machines exists. */
export async function bulkMachines(
  app: App,
  { ids, action }: z.output<typeof BulkRequest>,
  actor: Actor,
): Promise<Job> {
  const rows = await findMachineRows(app, [...new Set(ids)]);
  if (rows.length === 0) throw new AppError("not_found", "None of these machines exists any more.");
  const input: z.input<typeof Input> = { action, ids: rows.map(({ id }) => id) };
  const job = await app.jobs.start({
    kind: "bulk",
    subject: { id: null, name: `${action}: ${rows.length} machines` },
    by: actor,
    input,
    progress: { stage: action, total: rows.length, unit: "items" },
    cancellable: true,
  });
  const names = rows.map(({ name }) => name).join(", ");
  await audit(app, {
    actor,
    action: `machine.bulk-${action}`,
    subjectName: `${rows.length} machines`,
    detail: names.slice(0, 500),
  });
  return job;
}

/** Carries a bulk action out. */
export async function runBulk(app: App, operation: LocalOperation): Promise<void> {
  const { action, ids } = Input.parse(operation.input);
  const rows = await findMachineRows(app, ids);
  if (action === "populate") await populateMany(app, operation, rows);
  else {
    for (const group of action === "delete" ? inDeletionOrder(rows) : [rows]) {
      // Starts are paced by their hypervisors, each on its own: all of them may wait for their turn.
      const atOnce = action === "start" ? group.length : width;
      await forEachOf(group, atOnce, operation.signal, (row) => actOn(app, operation, row, action));
    }
  }
  if (operation.job.items.some(({ ok }) => !ok)) {
    const { code, message } = partialFailure(operation.job.items);
    throw new AppError(code, message);
  }
}

async function actOn(
  app: App,
  operation: LocalOperation,
  row: MachineRow,
  action: BulkAction,
): Promise<void> {
  const { id, name } = row;
  try {
    await carryOut(app, operation, row, action);
    operation.addItem({ id, name, ok: true, message: null });
  } catch (error) {
    operation.signal.throwIfAborted();
    const { code, message } = errorInfoOf(error);
    if (code === "internal") app.log.error({ err: error, machineId: id, action }, "a bulk action failed");
    operation.addItem({ id, name, ok: false, message });
  }
}

async function carryOut(
  app: App,
  operation: LocalOperation,
  row: MachineRow,
  action: BulkAction,
): Promise<void> {
  switch (action) {
    case "start":
      return await startMachine(app, row.id, { priority: "mass", signal: operation.signal });
    case "shutdown":
    case "reboot":
    case "destroy":
      requireNotHeld(app, row);
      return await powerMachine(app, row.id, { action }, null);
    case "maintenance-on":
    case "maintenance-off":
      return await changeMachines(
        app,
        new Map([[row.id, { maintenance: action === "maintenance-on" ? 1 : 0 }]]),
      );
    case "virtual-snapshot-on":
    case "virtual-snapshot-off":
      return await changeMachines(
        app,
        new Map([[row.id, { virtual_snapshot: action === "virtual-snapshot-on" ? 1 : 0 }]]),
      );
    case "delete":
      return await deleteOne(app, operation, row);
    case "populate":
      throw new Error("machines are populated together");
  }
}

async function deleteOne(app: App, operation: LocalOperation, row: MachineRow): Promise<void> {
  await requireDeletable(app, row);
  const subject = { id: row.id, name: row.name };
  const elsewhere = row.role === "initial" ? await findCopiesElsewhere(app, row) : [];
  const job = await operation.step(
    { kind: "delete-machine", subject },
    row.hypervisor_id,
    deletionOf(row, false),
  );
  if (job.state === "succeeded") return await deleteCopies(app, elsewhere);
  throw new AppError(
    job.error?.code ?? "internal",
    job.error?.message ?? `the deletion ended as ${job.state}`,
  );
}

/** Clones before the images that they lie on, so that a whole tree can be chosen. */
function inDeletionOrder(rows: readonly MachineRow[]): MachineRow[][] {
  const order: Role[] = ["vdi", "initial", "source", "simple"];
  return order.map((role) => rows.filter((row) => row.role === role));
}

/** All that can be populated now, on every hypervisor at the same time. */
async function populateMany(app: App, operation: LocalOperation, rows: readonly MachineRow[]): Promise<void> {
  const { ready, refused } = await sortOut(app, rows.filter(({ role }) => role === "vdi"));
  for (const { id, name } of rows.filter(({ role }) => role !== "vdi")) {
    operation.addItem({ id, name, ok: false, message: "it is not a vdi machine" });
  }
  for (const item of refused) operation.addItem(item);
  await populateClones(app, operation, ready, (item) => operation.addItem(item));
}
