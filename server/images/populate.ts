/** Populate: the overlays of vdi machines, made anew on the current version of their initial's image. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import { isOpenJob, type Job, type JobItem } from "../../contracts/job.ts";
import { forEachOf } from "../../lib/for_each.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import { type EndedJob, type LocalOperation, partialFailure } from "../jobs/service.ts";
import { recordDomains } from "../machines/live.ts";
import {
  aRole,
  changeMachines,
  findDerivedMachines,
  findLeaseHolders,
  findMachineRows,
  requireMachine,
} from "../machines/service.ts";
import { ensureVersionOn } from "./distribute.ts";
import { powerOff } from "./power_off.ts";
import { copyBelow, currentVersion, tellImage } from "./versions.ts";

const parallelHosts = 8;

const StepInput = z.object({ basePath: z.string(), versionId: Id });
const JobInput = z.object({
  machineIds: z.array(Id),
  powerOff: z.boolean().default(false).describe("of a rollout: machines that run without a user"),
});

/**
 * Recreates the overlays of an initial's vdi machines (all, or those named), or of one vdi itself. Machines that are in
 * use are left as they are and told in the job's items with the reason.
 * @throws {AppError} `invalid` for another role or a machine that is not its clone; `conflict` if none can be populated.
 */
export async function populate(
  app: App,
  id: string,
  machineIds: readonly string[] | undefined,
  actor: Actor,
): Promise<Job> {
  const machine = await requireMachine(app, id);
  const clones = await clonesOf(app, machine, machineIds);
  await currentVersion(app, await requireInitialOf(app, clones[0]!));
  const { ready, refused } = await sortOut(app, clones);
  if (ready.length === 0) {
    const [first] = refused;
    throw new AppError("conflict", `Nothing was populated: ${first!.name}: ${first!.message}`, {
      details: refused.map((item) => ({ path: item.name, message: item.message ?? "" })),
    });
  }
  const job = await app.jobs.start({
    kind: "populate",
    subject: { id, name: machine.name },
    by: actor,
    machineIds: ready.map((clone) => clone.id),
    items: refused,
    progress: { stage: "populating", total: clones.length, done: refused.length, unit: "items" },
    cancellable: true,
  });
  await audit(app, {
    actor,
    action: "machine.populate",
    subjectId: id,
    subjectName: machine.name,
    detail: `${ready.length} machines`,
  });
  return job;
}

async function requireInitialOf(app: App, machine: MachineRow): Promise<MachineRow> {
  if (machine.role !== "vdi" || machine.source_id === null) {
    throw new AppError("invalid", `${machine.name} is not a vdi machine with an initial.`);
  }
  return await requireMachine(app, machine.source_id);
}

async function clonesOf(
  app: App,
  machine: MachineRow,
  machineIds: readonly string[] | undefined,
): Promise<MachineRow[]> {
  if (machine.role === "vdi") return [machine];
  if (machine.role !== "initial") {
    throw new AppError(
      "invalid",
      `${machine.name} is ${aRole(machine.role)}: only initial and vdi machines are populated.`,
    );
  }
  const clones = (await findDerivedMachines(app, machine.id)).filter(({ role }) => role === "vdi");
  const wanted = machineIds === undefined ? null : new Set(machineIds);
  const chosen = wanted === null ? clones : clones.filter((clone) => wanted.has(clone.id));
  if (wanted !== null && chosen.length < wanted.size) {
    const message = `${wanted.size - chosen.length} of them are not vdi machines of ${machine.name}`;
    throw new AppError("invalid", `machineIds: ${message}.`, { details: [{ path: "machineIds", message }] });
  }
  if (chosen.length > 0) return chosen;
  throw new AppError("conflict", `${machine.name} has no vdi machines to populate. Create some first.`);
}

/** Tells machines that can be populated now from those that are in use. */
export async function sortOut(
  app: App,
  clones: readonly MachineRow[],
): Promise<{ ready: MachineRow[]; refused: JobItem[] }> {
  const holders = await findLeaseHolders(app, clones.map(({ id }) => id));
  const holds = app.jobs.holds();
  const ready: MachineRow[] = [];
  const refused: JobItem[] = [];
  for (const clone of clones) {
    const { usable } = app.agents.status(clone.hypervisor_id);
    const state = app.agents.domain(clone.id, clone.hypervisor_id)?.domain.state ??
      (usable ? "missing" : "offline");
    const reason = reasonAgainst(state, holders.get(clone.id), holds.has(clone.id));
    if (reason === null) ready.push(clone);
    else refused.push({ id: clone.id, name: clone.name, ok: false, message: reason });
  }
  return { ready, refused };
}

function reasonAgainst(state: string, holder: string | undefined, held: boolean): string | null {
  if (holder !== undefined) return `it is in use by ${holder}. End the lease first.`;
  if (held) return "a job works on it. Wait for the job first.";
  if (state === "missing") {
    return "its domain is missing on the hypervisor. Delete the machine and create it again.";
  }
  if (state === "offline") return "its hypervisor is offline. Try again when it is back.";
  if (state === "shut-off" || state === "crashed") return null;
  return `it is ${state}. Shut it down first.`;
}

/** Carries it out; goes on after a restart of the dashboard. */
export async function runPopulate(app: App, operation: LocalOperation): Promise<void> {
  const input = JobInput.parse(operation.input);
  await takeUpEarlier(app, operation);
  const dealtWith = new Set(operation.job.items.map(({ id }) => id));
  const due = (await findMachineRows(app, input.machineIds)).filter(({ id }) => !dealtWith.has(id));
  const add = (item: JobItem) => operation.addItem(item);
  const ready = input.powerOff ? await powerOff(app, operation, due, add) : due;
  await populateClones(app, operation, ready, add);
  if (operation.job.items.every(({ ok }) => ok)) return;
  const { code, message } = partialFailure(operation.job.items);
  throw new AppError(code, message);
}

/** What was begun before a restart goes on by itself; its outcome belongs to this job. */
async function takeUpEarlier(app: App, operation: LocalOperation): Promise<void> {
  const told = new Set(operation.job.items.map(({ id }) => id));
  for (const step of await operation.earlierSteps()) {
    const ended = isOpenJob(step) ? await app.jobs.ended(step.id, operation.signal) : step;
    if (ended.kind !== "populate") continue;
    for (const item of ended.items) if (!told.has(item.id)) operation.addItem(item);
  }
}

/**
 * Makes the overlays of shut-off clones anew as part of a job, on every hypervisor at the same time; `add` is told how
 * each one ended. The current version is sealed and copied to their hypervisors first, where that is needed.
 * @param orOwnVersion while nobody who has the current version can be reached, the one that a clone is on will do
 */
export async function populateClones(
  app: App,
  operation: LocalOperation,
  clones: readonly MachineRow[],
  add: (item: JobItem) => void,
  { orOwnVersion = false }: { orOwnVersion?: boolean } = {},
): Promise<void> {
  const groups = Map.groupBy(clones, (clone) => `${clone.source_id} ${clone.hypervisor_id}`);
  const bases: { group: MachineRow[]; versionId: string; path: string }[] = [];
  for (const group of groups.values()) {
    await eachFails(app, operation, group, add, async () => {
      bases.push({ group, ...await baseOf(app, operation, group[0]!, orOwnVersion) });
    });
  }
  operation.report({
    stage: "populating",
    done: operation.job.items.length,
    total: new Set([...operation.job.items, ...clones].map(({ id }) => id)).size,
    unit: "items",
  });
  await forEachOf(bases, parallelHosts, operation.signal, async ({ group, versionId, path }) => {
    await eachFails(
      app,
      operation,
      group,
      add,
      () => populateOn(app, operation, group, versionId, path, add),
    );
  });
}

async function baseOf(
  app: App,
  operation: LocalOperation,
  clone: MachineRow,
  orOwnVersion: boolean,
): Promise<{ versionId: string; path: string }> {
  const initial = await requireInitialOf(app, clone);
  try {
    return await ensureVersionOn(app, operation, initial.id, clone.hypervisor_id);
  } catch (error) {
    const away = error instanceof AppError && error.code === "unavailable";
    const own = away && orOwnVersion ? await copyBelow(app, clone) : null;
    if (own === null) throw error;
    return own;
  }
}

/** When something fails for all machines of a group, each of them has failed. */
async function eachFails(
  app: App,
  operation: LocalOperation,
  group: readonly MachineRow[],
  add: (item: JobItem) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    operation.signal.throwIfAborted();
    const { code, message } = errorInfoOf(error);
    if (code === "internal") app.log.error({ err: error, job: operation.job.id }, "populate failed");
    for (const { id, name } of group) add({ id, name, ok: false, message });
  }
}

async function populateOn(
  app: App,
  operation: LocalOperation,
  group: readonly MachineRow[],
  versionId: string,
  basePath: string,
  add: (item: JobItem) => void,
): Promise<void> {
  const [{ source_id: initialId, hypervisor_id: hypervisorId }] = group as [MachineRow];
  const { name } = await requireHypervisor(app, hypervisorId);
  const machineIds = group.map(({ id }) => id);
  const job = await operation.step(
    { kind: "populate", subject: { id: null, name }, machineIds, input: { basePath, versionId } },
    hypervisorId,
    { kind: "populate", initialId: initialId!, basePath, machineIds },
  );
  const told = new Map(job.items.map((item) => [item.id, item]));
  for (const { id, name } of group) {
    const message = job.error?.message ?? `populate ended as ${job.state}`;
    add(told.get(id) ?? { id, name, ok: false, message });
  }
}

/** Notes which overlays were made. */
export async function settlePopulate(app: App, ended: EndedJob): Promise<void> {
  const { basePath, versionId } = StepInput.parse(ended.input);
  const made = ended.items.filter(({ ok }) => ok).map(({ id }) => id);
  const now = app.now();
  const rows = await findMachineRows(app, made);
  await changeMachines(
    app,
    new Map(rows.map((row) => [row.id, { populated_at: now, base_path: basePath, version_id: versionId }])),
  );
  if (ended.hypervisorId !== null) await recordDomains(app, ended.hypervisorId, made);
  for (const id of new Set(rows.map((row) => row.source_id))) if (id !== null) tellImage(app, id);
}
