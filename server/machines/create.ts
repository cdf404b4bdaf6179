/** Creating machines: rows first, in one transaction, then the agent's jobs; what fails leaves no row behind. */
import { z } from "zod";
import { CreateMachineOperation } from "../../contracts/agent.ts";
import { Id, Name } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { CreateMachine, Machine } from "../../contracts/machine.ts";
import { copyFirstVersion, requireIdle } from "../images/copy_disk.ts";
import { populateClones } from "../images/populate.ts";
import { adoptVersion } from "../images/versions.ts";
import { type EndedJob, type LocalOperation, partialFailure } from "../jobs/service.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { type CreatePlan, planCreation } from "./create_plan.ts";
import { forEachOf } from "../../lib/for_each.ts";
import { recordDomains } from "./live.ts";
import { changeMachines, findMachineRows, renderMachines, requireMachine } from "./service.ts";
import { insertMachines, removeMachine } from "./store.ts";

const parallelCreations = 8;

const Input = z.object({
  machines: z.array(z.object({ id: Id, name: Name, hypervisorId: Id, operation: CreateMachineOperation })),
  sourceId: Id.nullable(),
  then: z.enum(["copy-disk", "populate", "nothing"]),
});
type Input = z.output<typeof Input>;

/**
 * Creates one machine or several, and returns them while the job goes on.
 * @throws {AppError} `invalid` or `conflict` naming the field; `unavailable` if the hypervisor is offline.
 */
export async function createMachines(
  app: App,
  wanted: z.output<typeof CreateMachine>,
  actor: Actor,
): Promise<{ job: Job; machines: Machine[] }> {
  const plan = await planCreation(app, wanted);
  if (wanted.copyDisk) requireIdle(app, await requireMachine(app, wanted.sourceId!));
  if (!await insertMachines(app.db, plan.rows)) {
    throw new AppError("conflict", "One of the names was taken meanwhile. Try again.", {
      details: [{ path: "name", message: "is taken" }],
    });
  }
  const ids = plan.rows.map(({ id }) => id);
  const job = await startCreation(app, plan, wanted, actor);
  const names = plan.rows.map(({ name }) => name).join(", ");
  await audit(app, {
    actor,
    action: "machine.create",
    subjectId: ids.length === 1 ? ids[0] : null,
    subjectName: plan.rows[0]!.name,
    detail: `${wanted.role}: ${names.slice(0, 500)}`,
  });
  return { job, machines: await renderMachines(app, ids) };
}

async function startCreation(
  app: App,
  plan: CreatePlan,
  wanted: z.output<typeof CreateMachine>,
  actor: Actor,
): Promise<Job> {
  const { rows, operations } = plan;
  const then = wanted.copyDisk ? "copy-disk" : wanted.populate ? "populate" : "nothing";
  const [row] = rows;
  if (rows.length === 1 && then === "nothing") {
    const subject = { id: row!.id, name: row!.name };
    return await app.jobs.delegate(
      { kind: "create-machine", subject, by: actor },
      row!.hypervisor_id,
      operations[0]!,
    );
  }
  const machines = rows.map(({ id, name, hypervisor_id: hypervisorId }, index) => (
    { id, name, hypervisorId, operation: operations[index]! }
  ));
  const input: Input = { machines, sourceId: row!.source_id, then };
  return await app.jobs.start({
    kind: "create-machines",
    subject: {
      id: null,
      name: rows.length === 1 ? row!.name : `${rows.length} machines, ${row!.name} first`,
    },
    by: actor,
    machineIds: rows.map(({ id }) => id),
    input,
    progress: { stage: "creating", total: rows.length, unit: "items" },
    cancellable: true,
  });
}

/** Carries a creation of several machines out; goes on after a restart of the dashboard. */
export async function runCreation(app: App, operation: LocalOperation): Promise<void> {
  const input = Input.parse(operation.input);
  const begun = new Map((await operation.earlierSteps()).map((step) => [step.subjectId, step.id]));
  const reported = new Set(operation.job.items.map(({ id }) => id));
  const made: string[] = operation.job.items.filter(({ ok }) => ok).map(({ id }) => id);
  const due = input.machines.filter(({ id }) => !reported.has(id));
  const byHypervisor = Map.groupBy(due, ({ hypervisorId }) => hypervisorId);
  try {
    await forEachOf(
      [...byHypervisor],
      byHypervisor.size || 1,
      operation.signal,
      async ([hypervisorId, some]) => {
        await app.agents.untilUsable(hypervisorId, operation.signal);
        await forEachOf(some, parallelCreations, operation.signal, async (machine) => {
          const error = await createOne(app, operation, machine, begun.get(machine.id));
          if (error === null) made.push(machine.id);
          operation.addItem({ id: machine.id, name: machine.name, ok: error === null, message: error });
        });
      },
    );
  } finally {
    if (operation.isCancelled()) await removeUnbegun(app, operation, due.map(({ id }) => id));
  }
  if (made.length > 0) await finishCreation(app, operation, input, made);
  if (operation.job.items.some(({ ok }) => !ok)) {
    const { code, message } = partialFailure(operation.job.items);
    throw new AppError(code, message);
  }
}

/** Returns why the machine was not created, or null. */
async function createOne(
  app: App,
  operation: LocalOperation,
  { id, name, hypervisorId, operation: request }: Input["machines"][number],
  begunJobId: string | undefined,
): Promise<string | null> {
  try {
    const job = begunJobId !== undefined
      ? await app.jobs.ended(begunJobId, operation.signal)
      : await operation.step({ kind: "create-machine", subject: { id, name } }, hypervisorId, request);
    return job.state === "succeeded" ? null : job.error?.message ?? job.state;
  } catch (error) {
    operation.signal.throwIfAborted();
    await forgetMachine(app, id);
    return errorInfoOf(error).message;
  }
}

/** The first copy or the first overlays of what was created. */
async function finishCreation(
  app: App,
  operation: LocalOperation,
  { then }: Input,
  made: string[],
): Promise<void> {
  if (then === "nothing") return;
  const rows = await findMachineRows(app, made);
  if (then === "populate") {
    await populateClones(app, operation, rows.filter((row) => row.populated_at === null), (item) => {
      if (!item.ok) operation.failItem(item.id, `not populated: ${item.message}`);
    });
    return;
  }
  for (const row of rows) {
    operation.report({ stage: `copying the disk to ${row.name}` });
    await copyFirstVersion(app, operation, row);
  }
}

/** A created machine is known by its domain; of one that was not created, the row goes. */
export async function settleCreation(app: App, ended: EndedJob): Promise<void> {
  const { subjectId, hypervisorId, state } = ended;
  if (subjectId === null || hypervisorId === null) return;
  if (state !== "succeeded") return await forgetMachine(app, subjectId);
  await recordDomains(app, hypervisorId, [subjectId]);
  await adoptOverlay(app, subjectId, hypervisorId);
  await adoptVersion(app, subjectId);
}

/** A vdi that was a domain before has its overlay already. */
async function adoptOverlay(app: App, id: string, hypervisorId: string): Promise<void> {
  const disks = app.agents.domain(id, hypervisorId)?.domain.disks ?? [];
  const backing = disks.find(({ device }) => device === "disk")?.backingPath;
  const [row] = await findMachineRows(app, [id]);
  if (!backing || row?.role !== "vdi" || row.populated_at !== null) return;
  await changeMachines(app, new Map([[id, { populated_at: app.now(), base_path: backing }]]));
}

/** Removes the row of a machine that does not exist, and tells about it. */
export async function forgetMachine(app: App, id: string): Promise<void> {
  if (await removeMachine(app.db, id)) app.bus.publish({ type: "machine-removed", id });
}

/** Removes the rows of machines that no agent was ever asked for. */
async function removeUnbegun(app: App, operation: LocalOperation, ids: readonly string[]): Promise<void> {
  const begun = new Set((await operation.earlierSteps()).map((step) => step.subjectId));
  for (const id of ids) if (!begun.has(id)) await forgetMachine(app, id);
}
