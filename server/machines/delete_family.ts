/** Deleting an initial with its clones and its versions on every hypervisor, in one job. */
import { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import { forEachOf } from "../../lib/for_each.ts";
import type { Actor, App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import { listHypervisorRows } from "../hypervisors/service.ts";
import { requireSuccess, takeStep } from "../images/steps.ts";
import { type LocalOperation, partialFailure } from "../jobs/service.ts";
import { forgetMachine } from "./create.ts";
import { deletionOf } from "./delete.ts";
import { findObstacles } from "./deletion_plan.ts";
import { findCopiesOfInitial } from "./deletion_store.ts";
import { findDerivedMachines, requireMachine } from "./service.ts";

export const FamilyInput = z.object({ family: z.literal(true), keepDisks: z.boolean() });

const parallelDeletions = 8;

/** @throws {AppError} `conflict` with everything that is in the way. */
export async function deleteFamily(
  app: App,
  initial: MachineRow,
  keepDisks: boolean,
  actor: Actor,
): Promise<Job> {
  const clones = await findDerivedMachines(app, initial.id);
  const obstacles = await findObstacles(app, [...clones, initial]);
  if (obstacles.length > 0) {
    throw new AppError("conflict", `${initial.name} cannot be deleted: ${obstacles.slice(0, 3).join(" ")}`, {
      details: obstacles.map((message) => ({ path: "id", message })),
    });
  }
  const input: z.output<typeof FamilyInput> = { family: true, keepDisks };
  return await app.jobs.start({
    kind: "delete-machine",
    subject: { id: initial.id, name: initial.name },
    by: actor,
    machineIds: clones.map(({ id }) => id),
    input,
    progress: { stage: "deleting its clones", total: clones.length + 1, unit: "items" },
    cancellable: false,
  });
}

/** Clones first, then the versions elsewhere, the initial with its own last. Goes on after a restart. */
export async function runFamilyDeletion(app: App, operation: LocalOperation): Promise<void> {
  const { keepDisks } = FamilyInput.parse(operation.input);
  const initial = await requireMachine(app, operation.job.subjectId!);
  await deleteClones(app, operation, initial, keepDisks);
  if (!keepDisks) await deleteCopies(app, operation, initial);
  operation.report({ stage: `deleting ${initial.name}` });
  await app.agents.untilUsable(initial.hypervisor_id, operation.signal);
  const subject = { id: null, name: initial.name };
  const deletion = deletionOf(initial, keepDisks);
  requireSuccess(
    await takeStep(app, operation, { kind: "delete-machine", subject }, initial.hypervisor_id, deletion),
  );
  await forgetMachine(app, initial.id);
}

async function deleteClones(
  app: App,
  operation: LocalOperation,
  initial: MachineRow,
  keepDisks: boolean,
): Promise<void> {
  const clones = await findDerivedMachines(app, initial.id);
  await forEachOf(clones, parallelDeletions, operation.signal, async (clone) => {
    await app.agents.untilUsable(clone.hypervisor_id, operation.signal);
    const { state, error } = await takeStep(
      app,
      operation,
      { kind: "delete-machine", subject: { id: clone.id, name: clone.name }, input: { keepDisks } },
      clone.hypervisor_id,
      deletionOf(clone, keepDisks),
    );
    const ok = state === "succeeded";
    operation.addItem({ id: clone.id, name: clone.name, ok, message: ok ? null : error?.message ?? state });
  });
  if (operation.job.items.every(({ ok }) => ok)) return;
  const { code, message } = partialFailure(operation.job.items);
  throw new AppError(code, message);
}

/** Those beside the initial go with it. */
async function deleteCopies(app: App, operation: LocalOperation, initial: MachineRow): Promise<void> {
  const names = new Map((await listHypervisorRows(app)).map(({ id, name }) => [id, name]));
  const elsewhere = (await findCopiesOfInitial(app.db, initial.id))
    .filter(({ hypervisor_id, state }) => hypervisor_id !== initial.hypervisor_id && state !== "missing");
  for (const [hypervisorId, copies] of Map.groupBy(elsewhere, ({ hypervisor_id }) => hypervisor_id)) {
    const name = names.get(hypervisorId);
    operation.report({ stage: `deleting the versions on ${name}` });
    await app.agents.untilUsable(hypervisorId, operation.signal);
    const agent = app.agents.of(hypervisorId);
    const { items } = await agent.deleteFiles(copies.map(({ path }) => path), operation.signal);
    const present = new Set((await agent.storage(operation.signal)).map(({ path }) => path));
    const left = items.find((item) => !item.deleted && present.has(item.path));
    if (left) {
      throw new AppError("conflict", `${initial.name} cannot be deleted: on ${name}: ${left.message}`);
    }
  }
}
