/** Moving a machine to another hypervisor: copied, defined there, switched over, and only then removed here. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { parkDataDisk, returnDataDisk } from "../data_disks/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import { requireSuccess, takeStep } from "../images/steps.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { deletionOf } from "./delete.ts";
import { recordDomains } from "./live.ts";
import {
  bringDisk,
  type BroughtDisk,
  defineThere,
  isToBeUndone,
  type Relocation,
  requireRelocatable,
  undoDisk,
} from "./relocate.ts";
import { changeMachines, requireMachine } from "./service.ts";

const Input = z.object({ fromHypervisorId: Id, hypervisorId: Id });

/**
 * Moves a machine that is shut off, with its disk and its data disk.
 * @throws {AppError} `conflict` or `invalid` saying what is in the way; `unavailable` while a hypervisor is away.
 */
export async function moveMachine(app: App, id: string, hypervisorId: string, actor: Actor): Promise<Job> {
  const machine = await requireMachine(app, id);
  const target = await requireHypervisor(app, hypervisorId);
  if (machine.hypervisor_id === hypervisorId) {
    throw new AppError("invalid", `${machine.name} is on ${target.name} already.`);
  }
  await requireRelocatable(app, machine, { hypervisorId, name: machine.name }, "moved");
  const input: z.output<typeof Input> = { fromHypervisorId: machine.hypervisor_id, hypervisorId };
  const job = await app.jobs.start({
    kind: "move-machine",
    subject: { id, name: machine.name },
    by: actor,
    input,
    progress: { stage: `preparing the move to ${target.name}` },
    cancellable: true,
  });
  await audit(app, {
    actor,
    action: "machine.move",
    subjectId: id,
    subjectName: machine.name,
    detail: `to ${target.name}`,
  });
  return job;
}

/** Carries a move out; goes on after a restart of the dashboard. */
export async function runMove(app: App, operation: LocalOperation): Promise<void> {
  const { fromHypervisorId, hypervisorId } = Input.parse(operation.input);
  const machine = await requireMachine(app, operation.job.subjectId!);
  const moved = machine.hypervisor_id === hypervisorId;
  const before = { ...machine, hypervisor_id: fromHypervisorId };
  const relocation: Relocation = {
    machine: before,
    id: machine.id,
    name: machine.name,
    hypervisorId,
    mayShare: true,
  };
  await app.agents.untilUsable(fromHypervisorId, operation.signal);
  await app.agents.untilUsable(hypervisorId, operation.signal);
  const dataDiskId = await parkDataDisk(app, machine.id);
  try {
    const isShared = moved
      ? machine.disk_path === await pathOnOld(app, before)
      : await takeOver(app, operation, relocation);
    await removeOld(app, operation, before, isShared);
  } finally {
    if (dataDiskId !== null && isToBeUndone(operation)) {
      const { hypervisor_id } = await requireMachine(app, machine.id);
      const place = { id: machine.id, name: machine.name, hypervisorId: hypervisor_id };
      await returnDataDisk(app, dataDiskId, place, app.signal);
    }
  }
}

/** Everything up to the switch; undone as a whole when something fails. Returns whether the disk is shared. */
async function takeOver(app: App, operation: LocalOperation, relocation: Relocation): Promise<boolean> {
  const { machine, hypervisorId } = relocation;
  let disk: BroughtDisk | null = null;
  try {
    disk = await bringDisk(app, operation, relocation);
    await defineThere(app, operation, relocation, disk, machine.mac);
    operation.signal.throwIfAborted();
    await switchOver(app, machine, hypervisorId, disk);
    return disk?.shared ?? false;
  } catch (error) {
    if (isToBeUndone(operation)) await undo(app, relocation, disk);
    throw error;
  }
}

/** The dashboard looks for the machine there from now on. */
async function switchOver(
  app: App,
  machine: MachineRow,
  hypervisorId: string,
  disk: BroughtDisk | null,
): Promise<void> {
  await changeMachines(
    app,
    new Map([[machine.id, {
      hypervisor_id: hypervisorId,
      disk_path: disk?.path ?? machine.disk_path,
      base_path: disk?.basePath ?? machine.base_path,
    }]]),
  );
  await recordDomains(app, hypervisorId, [machine.id]);
}

/** The definition on the target goes again, and the copy with it. */
async function undo(app: App, relocation: Relocation, disk: BroughtDisk | null): Promise<void> {
  const { id, name, hypervisorId } = relocation;
  try {
    if (app.agents.domain(id, hypervisorId)) {
      const request = { kind: "delete-machine" as const, subject: { id: null, name }, by: null };
      const keepDisks = disk?.shared ?? true;
      const { id: jobId } = await app.jobs.delegate(request, hypervisorId, {
        kind: "delete-machine",
        machineId: id,
        keepDisks,
      });
      await app.jobs.ended(jobId);
    }
    await undoDisk(app, relocation, disk);
  } catch (error) {
    app.log.warn(
      { err: error, machineId: id, hypervisorId },
      "what a failed move has left could not be removed",
    );
  }
}

/** The old path of a machine that was switched over before the dashboard was restarted. */
async function pathOnOld(app: App, before: MachineRow): Promise<string | null> {
  const live = app.agents.domain(before.id, before.hypervisor_id);
  const path = live?.domain.disks.find(({ device }) => device === "disk")?.path ?? null;
  if (path === null || before.disk_path !== path) return null;
  // The same path may be another file on storage of each host's own.
  const [old, now] = await Promise.all(
    [before.hypervisor_id, (await requireMachine(app, before.id)).hypervisor_id].map(
      (id) => app.agents.of(id).fileIdentity(path).catch(() => null),
    ),
  );
  return JSON.stringify(old) === JSON.stringify(now) ? path : null;
}

/** @throws {AppError} saying that the machine has moved and what is left where it was. */
async function removeOld(
  app: App,
  operation: LocalOperation,
  before: MachineRow,
  isShared: boolean,
): Promise<void> {
  if (!app.agents.domain(before.id, before.hypervisor_id)) return;
  const from = await requireHypervisor(app, before.hypervisor_id);
  operation.report({ stage: `removing it from ${from.name}` });
  try {
    const request = { kind: "delete-machine" as const, subject: { id: null, name: before.name } };
    requireSuccess(await takeStep(app, operation, request, from.id, deletionOf(before, isShared)));
  } catch (error) {
    if (!isToBeUndone(operation)) throw error;
    throw new AppError(
      "hypervisor_failed",
      `${before.name} has moved, but what it left on ${from.name} could not be removed: ${
        errorInfoOf(error).message
      } ` +
        "Undefine the domain there; its files are then shown as strays.",
      { cause: error },
    );
  }
}
