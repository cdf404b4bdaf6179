/** Copying a source's disk to an initial: the next version of its image. */
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import type { EndedJob } from "../jobs/service.ts";
import { recordDomains } from "../machines/live.ts";
import { aRole, findDerivedMachines, requireMachine, requireNotHeld } from "../machines/service.ts";

/**
 * Copies the source's disk to a new image of the initial and returns the job at once. Clones stay on the image that they
 * were made from, and count as outdated, until they are populated.
 * @throws {AppError} `invalid` if the machine is not an initial with a source; `conflict` if one of the two is not shut
 * off or a job works on it.
 */
export async function copyDiskFromSource(app: App, initialId: string, actor: Actor): Promise<Job> {
  const initial = await requireMachine(app, initialId);
  const source = await requireSourceOf(app, initial);
  for (const machine of [source, initial]) requireIdle(app, machine);
  const job = await app.jobs.delegate(
    {
      kind: "copy-disk",
      subject: { id: initial.id, name: initial.name },
      by: actor,
      machineIds: [source.id],
      progress: { stage: "waiting for the agent", total: source.disk_bytes ?? 0, unit: "bytes" },
    },
    initial.hypervisor_id,
    { kind: "copy-disk", fromId: source.id, toId: initial.id },
  );
  await audit(app, {
    actor,
    action: "machine.copy-disk",
    subjectId: initial.id,
    subjectName: initial.name,
    detail: `from ${source.name}`,
  });
  return job;
}

async function requireSourceOf(app: App, initial: MachineRow): Promise<MachineRow> {
  if (initial.role !== "initial") {
    throw new AppError(
      "invalid",
      `${initial.name} is ${aRole(initial.role)}: only an initial gets a copy of a source's disk.`,
    );
  }
  if (initial.source_id === null) {
    throw new AppError(
      "invalid",
      `${initial.name} has no source to copy from. Delete it and create it from a source.`,
    );
  }
  const source = await requireMachine(app, initial.source_id);
  if (source.disk_path === null) throw new AppError("conflict", `${source.name} has no disk to copy.`);
  return source;
}

/** @throws {AppError} `conflict` unless the machine is shut off and no job works on it. */
export function requireIdle(app: App, machine: MachineRow): void {
  requireNotHeld(app, machine);
  app.agents.of(machine.hypervisor_id);
  const state = app.agents.domain(machine.id, machine.hypervisor_id)?.domain.state ?? machine.state;
  if (state === "shut-off" || state === "crashed") return;
  throw new AppError(
    "conflict",
    `The disk of ${machine.name} cannot be used: it is ${state}. Shut it down first.`,
  );
}

/** Brings the initial's row in line with its new image; its clones may be outdated now. */
export async function settleCopyDisk(app: App, ended: EndedJob): Promise<void> {
  if (ended.hypervisorId === null || ended.subjectId === null || ended.state !== "succeeded") return;
  await recordDomains(app, ended.hypervisorId, [ended.subjectId]);
  const clones = await findDerivedMachines(app, ended.subjectId);
  if (clones.length > 0) app.bus.publish({ type: "machines", ids: clones.map(({ id }) => id) });
}
