/** Flattening: a vdi becomes a simple machine with a disk of its own. */
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { requireIdle } from "../images/copy_disk.ts";
import type { EndedJob } from "../jobs/service.ts";
import { recordDomains } from "./live.ts";
import { aRole, changeMachines, findLeaseHolders, requireMachine } from "./service.ts";

/**
 * Makes a vdi a stand-alone machine; it stays in its desktop pools.
 * @throws {AppError} `invalid` for another role; `conflict` unless it is populated, shut off and nobody's.
 */
export async function flattenMachine(app: App, id: string, actor: Actor): Promise<Job> {
  const machine = await requireMachine(app, id);
  const { name, role } = machine;
  if (role !== "vdi") {
    throw new AppError("invalid", `${name} is ${aRole(role)}: only vdi machines are flattened.`);
  }
  if (machine.populated_at === null) {
    throw new AppError("conflict", `${name} cannot be flattened: it has no overlay yet. Populate it first.`);
  }
  const holder = (await findLeaseHolders(app, [id])).get(id);
  if (holder !== undefined) {
    throw new AppError(
      "conflict",
      `${name} cannot be flattened: ${holder} is using it. End the lease first.`,
    );
  }
  requireIdle(app, machine);
  const job = await app.jobs.delegate(
    {
      kind: "flatten",
      subject: { id, name },
      by: actor,
      progress: { stage: "waiting for the agent", total: machine.disk_bytes ?? 0, unit: "bytes" },
    },
    machine.hypervisor_id,
    { kind: "flatten", machineId: id },
  );
  await audit(app, { actor, action: "machine.flatten", subjectId: id, subjectName: name });
  return job;
}

/** It is no clone any more. */
export async function settleFlattening(app: App, ended: EndedJob): Promise<void> {
  const { subjectId, hypervisorId, state } = ended;
  if (state !== "succeeded" || subjectId === null || hypervisorId === null) return;
  await changeMachines(
    app,
    new Map([[subjectId, {
      role: "simple",
      source_id: null,
      version_id: null,
      base_path: null,
      populated_at: null,
      ...(ended.result && { disk_path: ended.result.path, disk_bytes: ended.result.virtualBytes }),
    }]]),
  );
  await recordDomains(app, hypervisorId, [subjectId]);
}
