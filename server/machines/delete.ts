/** Deleting machines, one by one or as part of a bulk action. */
import type { AgentOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import type { EndedJob } from "../jobs/service.ts";
import { forgetMachine } from "./create.ts";
import {
  findDerivedMachines,
  findLeaseHolders,
  nameSome,
  requireMachine,
  requireNotHeld,
} from "./service.ts";

/**
 * Deletes a machine with its disks, or without. While its hypervisor is offline it can only be forgotten: with
 * `keepDisks` its row goes and the domain stays where it is.
 * @throws {AppError} `conflict` saying what is in the way.
 */
export async function deleteMachine(app: App, id: string, keepDisks: boolean, actor: Actor): Promise<Job> {
  const machine = await requireMachine(app, id);
  await requireDeletable(app, machine);
  const request = { kind: "delete-machine" as const, subject: { id, name: machine.name }, by: actor };
  const forget = keepDisks && !app.agents.status(machine.hypervisor_id).usable;
  const job = forget
    ? await app.jobs.start({ ...request, progress: { stage: "forgetting it", total: 1 }, cancellable: false })
    : await app.jobs.delegate(request, machine.hypervisor_id, deletionOf(machine, keepDisks));
  await audit(app, {
    actor,
    action: "machine.delete",
    subjectId: id,
    subjectName: machine.name,
    detail: keepDisks ? "its disks were kept" : null,
  });
  return job;
}

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

/** The row goes once the domain is gone. */
export async function settleDeletion(app: App, { subjectId, state }: EndedJob): Promise<void> {
  if (subjectId !== null && state === "succeeded") await forgetMachine(app, subjectId);
}
