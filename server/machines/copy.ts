/** Making a second machine like one that exists, here or on another hypervisor. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { CopyMachine, Machine } from "../../contracts/machine.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { forgetMachine } from "./create.ts";
import { beingCreated, recordDomains } from "./live.ts";
import {
  bringDisk,
  type BroughtDisk,
  defineThere,
  isToBeUndone,
  type Relocation,
  requireRelocatable,
  undoDisk,
} from "./relocate.ts";
import { changeMachines, getMachine, requireMachine } from "./service.ts";
import { insertMachines } from "./store.ts";

const Input = z.object({ sourceId: Id });

/**
 * Copies a machine that is shut off: its disk as it is, with an id, a name and a MAC address of its own. Its data disk
 * stays with the original.
 * @throws {AppError} `conflict` or `invalid` saying what is in the way; `unavailable` while a hypervisor is away.
 */
export async function copyMachine(
  app: App,
  id: string,
  { hypervisorId, name }: z.output<typeof CopyMachine>,
  actor: Actor,
): Promise<{ job: Job; machine: Machine }> {
  const original = await requireMachine(app, id);
  const target = await requireHypervisor(app, hypervisorId);
  await requireRelocatable(app, original, { hypervisorId, name }, "copied");
  const row = rowOfCopy(app, original, hypervisorId, name);
  if (!await insertMachines(app.db, [row])) {
    throw new AppError("conflict", `There is a machine named ${name} on ${target.name} already.`, {
      details: [{ path: "name", message: "is taken" }],
    });
  }
  const job = await app.jobs.start({
    kind: "copy-machine",
    subject: { id: row.id, name },
    by: actor,
    machineIds: [id],
    input: { sourceId: id },
    progress: { stage: `preparing a copy of ${original.name}` },
    cancellable: true,
  });
  await audit(app, {
    actor,
    action: "machine.copy",
    subjectId: row.id,
    subjectName: name,
    detail: `of ${original.name}, on ${target.name}`,
  });
  return { job, machine: await getMachine(app, row.id) };
}

const rowOfCopy = (app: App, original: MachineRow, hypervisorId: string, name: string): MachineRow => ({
  ...original,
  id: crypto.randomUUID(),
  name,
  name_key: name.toLowerCase(),
  hypervisor_id: hypervisorId,
  state: "unknown",
  state_reason: beingCreated,
  locked: 0,
  mac: null,
  disk_path: null,
  base_path: null,
  populated_at: null,
  kept_for_user_id: null,
  kept_until: null,
  created_at: app.now(),
  updated_at: app.now(),
});

/** Carries a copy out; goes on after a restart of the dashboard. What fails leaves neither row nor file. */
export async function runCopy(app: App, operation: LocalOperation): Promise<void> {
  const { sourceId } = Input.parse(operation.input);
  const id = operation.job.subjectId!;
  let disk: BroughtDisk | null = null;
  let relocation: Relocation | null = null;
  try {
    const [original, copy] = await Promise.all([requireMachine(app, sourceId), requireMachine(app, id)]);
    relocation = {
      machine: original,
      id,
      name: copy.name,
      hypervisorId: copy.hypervisor_id,
      mayShare: false,
    };
    await app.agents.untilUsable(original.hypervisor_id, operation.signal);
    await app.agents.untilUsable(copy.hypervisor_id, operation.signal);
    disk = await bringDisk(app, operation, relocation);
    await defineThere(app, operation, relocation, disk, null);
    await changeMachines(
      app,
      new Map([[id, {
        disk_path: disk?.path ?? null,
        base_path: disk?.basePath ?? null,
        populated_at: disk && original.role === "vdi" ? original.populated_at : null,
      }]]),
    );
    await recordDomains(app, copy.hypervisor_id, [id]);
  } catch (error) {
    if (isToBeUndone(operation)) {
      await forgetMachine(app, id);
      if (relocation) await undoDisk(app, relocation, disk);
    }
    throw error;
  }
}
