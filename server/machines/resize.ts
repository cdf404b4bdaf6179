/** Making a machine's disk larger. */
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { EndedJob } from "../jobs/service.ts";
import { recordDomains } from "./live.ts";
import { requireMachine, requireNotHeld } from "./service.ts";

/**
 * Grows the first disk of a machine, also while it runs.
 * @throws {AppError} `invalid` for a vdi or a smaller size; `conflict` without a disk or while a job holds it.
 */
export async function resizeDisk(app: App, id: string, bytes: number, actor: Actor): Promise<Job> {
  const machine = await requireMachine(app, id);
  const { name, role, disk_bytes: now } = machine;
  requireNotHeld(app, machine);
  if (role === "vdi") {
    throw new AppError(
      "invalid",
      `The disk of ${name} is made anew at populate: resize the source and publish a new version.`,
    );
  }
  if (machine.disk_path === null) throw new AppError("conflict", `${name} has no disk to make larger.`);
  if (now !== null && bytes <= now) {
    const message = `it has ${now} bytes already, and a disk never shrinks`;
    throw new AppError("invalid", `The disk of ${name}: ${message}.`, {
      details: [{ path: "bytes", message }],
    });
  }
  const job = await app.jobs.delegate(
    { kind: "resize-disk", subject: { id, name }, by: actor, progress: { stage: "waiting for the agent" } },
    machine.hypervisor_id,
    { kind: "resize-disk", machineId: id, bytes },
  );
  await audit(app, {
    actor,
    action: "machine.resize-disk",
    subjectId: id,
    subjectName: name,
    detail: `to ${bytes} bytes`,
  });
  return job;
}

export async function settleResizing(app: App, { subjectId, hypervisorId }: EndedJob): Promise<void> {
  if (subjectId !== null && hypervisorId !== null) await recordDomains(app, hypervisorId, [subjectId]);
}
