/** Deleting machines, one by one or as part of a bulk action. */
import { z } from "zod";
import type { AgentOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { dropDataDiskOf } from "../data_disks/service.ts";
import type { EndedJob, LocalOperation } from "../jobs/service.ts";
import { forgetMachine } from "./create.ts";
import { deleteFamily, FamilyInput, runFamilyDeletion } from "./delete_family.ts";
import { findCopiesOfInitial } from "./deletion_store.ts";
import {
  findDerivedMachines,
  findLeaseHolders,
  nameSome,
  requireMachine,
  requireNotHeld,
} from "./service.ts";

/**
 * Deletes a machine with its disks, or without; with `cascade`, an initial with its clones. While its hypervisor is offline it can only be forgotten: with
 * `keepDisks` its row goes and the domain stays where it is.
 * @throws {AppError} `conflict` saying what is in the way.
 */
export async function deleteMachine(
  app: App,
  id: string,
  { keepDisks, cascade }: { keepDisks: boolean; cascade: boolean },
  actor: Actor,
): Promise<Job> {
  const machine = await requireMachine(app, id);
  if (!cascade) await requireDeletable(app, machine);
  const job = await startDeletion(app, machine, { keepDisks, cascade }, actor);
  const details = [keepDisks ? "its disks were kept" : null, cascade ? "with what was made from it" : null];
  await audit(app, {
    actor,
    action: "machine.delete",
    subjectId: id,
    subjectName: machine.name,
    detail: details.filter((detail) => detail !== null).join(", ") || null,
  });
  return job;
}

async function startDeletion(
  app: App,
  machine: MachineRow,
  { keepDisks, cascade }: { keepDisks: boolean; cascade: boolean },
  actor: Actor,
): Promise<Job> {
  const request = {
    kind: "delete-machine" as const,
    subject: { id: machine.id, name: machine.name },
    by: actor,
    input: { keepDisks },
  };
  const forget = keepDisks && !cascade && !app.agents.status(machine.hypervisor_id).usable;
  if (forget) {
    return await app.jobs.start({
      ...request,
      progress: { stage: "forgetting it", total: 1 },
      cancellable: false,
    });
  }
  if (machine.role === "initial" && (cascade || await hasCopiesElsewhere(app, machine))) {
    return await deleteFamily(app, machine, keepDisks, actor);
  }
  if (cascade) await requireDeletable(app, machine);
  return await app.jobs.delegate(request, machine.hypervisor_id, deletionOf(machine, keepDisks));
}

const hasCopiesElsewhere = async (app: App, { id, hypervisor_id }: MachineRow): Promise<boolean> =>
  (await findCopiesOfInitial(app.db, id)).some((copy) => copy.hypervisor_id !== hypervisor_id);

export const deletionOf = (machine: MachineRow, keepDisks: boolean): AgentOperation => ({
  kind: "delete-machine",
  machineId: machine.id,
  keepDisks,
});

/** @throws {AppError} `conflict` saying what is in the way of deleting the machine. */
export async function requireDeletable(app: App, machine: MachineRow): Promise<void> {
  const refuse = (reason: string) => new AppError("conflict", `${machine.name} cannot be deleted: ${reason}`);
  if (machine.locked === 1) throw refuse("it is locked. Unlock it first.");
  requireNotHeld(app, machine);
  const holder = (await findLeaseHolders(app, [machine.id])).get(machine.id);
  if (holder !== undefined) throw refuse(`${holder} is using it. End the lease first.`);
  const derived = await findDerivedMachines(app, machine.id);
  if (derived.length > 0) throw refuse(`${nameSome(derived)} are made from it. Delete those first.`);
  const state = app.agents.domain(machine.id, machine.hypervisor_id)?.domain.state;
  if (state !== undefined && state !== "shut-off" && state !== "crashed") {
    throw refuse(`it is ${state}. Shut it down first.`);
  }
}

const Input = z.object({ keepDisks: z.boolean().default(false) });

/** The row goes once the domain is gone, and the machine's own data disk with it. */
export async function settleDeletion(app: App, { subjectId, state, input }: EndedJob): Promise<void> {
  if (subjectId === null || state !== "succeeded") return;
  if (!Input.parse(input).keepDisks) await dropDataDiskOf(app, subjectId);
  await forgetMachine(app, subjectId);
}

/** Carried out here: a family, or a machine that is forgotten because its hypervisor is gone. */
export async function runDeletion(app: App, operation: LocalOperation): Promise<void> {
  if (FamilyInput.safeParse(operation.input).success) await runFamilyDeletion(app, operation);
  else await forgetMachine(app, operation.job.subjectId!);
}
