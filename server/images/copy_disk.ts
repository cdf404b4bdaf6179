/** Copying a source's disk to an initial: the next version of its image, beside those that clones are on. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { CopyDisk } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageVersionRow, MachineRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import type { EndedJob, LocalOperation } from "../jobs/service.ts";
import { recordDomains } from "../machines/live.ts";
import { aRole, findMachineRows, requireMachine, requireNotHeld } from "../machines/service.ts";
import { copyFromElsewhere } from "./copy_from_elsewhere.ts";
import { distributeToAll, requireDistributed } from "./distribute.ts";
import { sealWithin } from "./seal.ts";
import { requireSuccess, takeStep } from "./steps.ts";
import { asWorkOn } from "./turns.ts";
import { beginVersion, nameOf, numberInPath, settleDraft, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({ versionId: Id, seal: z.boolean().default(false) });

/**
 * Copies the source's disk to a new version of the initial, as a draft that the initial then boots from, and returns the
 * job at once. Clones stay where they are until a version is published.
 * @throws {AppError} `invalid` if the machine is not an initial with a source; `conflict` if one of the two is not shut
 * off or a job works on it.
 */
export async function copyDiskFromSource(
  app: App,
  initialId: string,
  { note, seal, hypervisorIds = [] }: Partial<z.output<typeof CopyDisk>>,
  actor: Actor,
): Promise<Job> {
  const initial = await requireMachine(app, initialId);
  const source = await requireSourceOf(app, initial);
  for (const machine of [source, initial]) requireIdle(app, machine);
  for (const id of hypervisorIds) await requireHypervisor(app, id);
  const by = actor.username;
  const version = await beginVersion(app, initial, { note: note ?? "", hypervisorIds, by });
  try {
    const job = await app.jobs.start({
      kind: "copy-disk",
      subject: { id: initial.id, name: initial.name },
      by: actor,
      machineIds: [source.id],
      input: { versionId: version.id, seal: seal ?? false },
      progress: { stage: "waiting for the agent", total: source.disk_bytes ?? 0, unit: "bytes" },
      cancellable: true,
    });
    await audit(app, {
      actor,
      action: "machine.copy-disk",
      subjectId: initial.id,
      subjectName: initial.name,
      detail: `from ${source.name} to version ${version.number}`,
    });
    return job;
  } catch (error) {
    await dropUnwritten(app, version);
    throw error;
  }
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

/** Carries a copy out, and seals it if that was asked for; goes on after a restart of the dashboard. */
export async function runCopyDisk(app: App, operation: LocalOperation): Promise<void> {
  const { versionId, seal } = Input.parse(operation.input);
  const version = await store.findVersion(app.db, versionId);
  if (!version) throw new AppError("interrupted", "The copy was interrupted. Start it again.");
  if (version.state === "copying") await copyWithin(app, operation, version);
  if (!seal) return;
  const sealed = await sealWithin(app, operation, version);
  requireDistributed(await distributeToAll(app, operation, sealed));
}

/** Makes the first version of an initial that was created a moment ago, as part of that job. */
export async function copyFirstVersion(
  app: App,
  operation: LocalOperation,
  initial: MachineRow,
): Promise<void> {
  const by = operation.job.requestedBy;
  const known = await store.findVersionsOf(app.db, [initial.id]);
  if (known.some(({ state }) => state !== "copying")) return;
  const version = known[0] ?? await beginVersion(app, initial, { note: "", hypervisorIds: [], by });
  await copyWithin(app, operation, version);
}

async function copyWithin(app: App, operation: LocalOperation, version: ImageVersionRow): Promise<void> {
  const initial = await requireMachine(app, version.initial_id);
  try {
    const source = await requireSourceOf(app, initial);
    await asWorkOn(app, version.id, operation.job.id, async () => {
      tellImage(app, initial.id);
      if (source.hypervisor_id === initial.hypervisor_id) {
        await copyHere(app, operation, version, initial, source);
      } else {await settleDraft(
          app,
          version,
          initial,
          await copyFromElsewhere(app, operation, version, initial, source),
        );}
    });
    await recordDomains(app, initial.hypervisor_id, [initial.id]);
  } catch (error) {
    // A dashboard that stops goes on with it at its next start.
    if (!operation.signal.aborted || operation.isCancelled()) await dropUnwritten(app, version);
    throw error;
  }
}

async function copyHere(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
  initial: MachineRow,
  source: MachineRow,
): Promise<void> {
  const step = await takeStep(
    app,
    operation,
    {
      kind: "copy-disk",
      subject: { id: null, name: nameOf(initial, version) },
      machineIds: [initial.id, source.id],
      input: { versionId: version.id },
    },
    initial.hypervisor_id,
    { kind: "copy-disk", fromId: source.id, toId: initial.id, version: version.number },
    (progress) => operation.report(progress),
  );
  requireSuccess(step);
}

async function dropUnwritten(app: App, version: ImageVersionRow): Promise<void> {
  await store.removeUnwritten(app.db, version.id);
  tellImage(app, version.initial_id);
}

/** Notes the new version once the agent has made it; of a copy that failed nothing remains. */
export async function settleCopyDisk(app: App, ended: EndedJob): Promise<void> {
  const { versionId } = Input.parse(ended.input);
  const version = await store.findVersion(app.db, versionId);
  if (!version || ended.hypervisorId === null) return;
  const [initial] = await findMachineRows(app, [version.initial_id]);
  if (!initial) return;
  if (ended.state !== "succeeded") return await dropUnwritten(app, version);
  if (version.state === "copying") {
    const disk = app.agents.domain(initial.id, initial.hypervisor_id)?.domain.disks
      .find(({ path }) => numberInPath(path) === version.number);
    const path = ended.result?.path ?? disk?.path;
    if (!path) throw new Error(`the agent does not say where ${nameOf(initial, version)} lies`);
    await settleDraft(app, version, initial, {
      path,
      virtualBytes: ended.result?.virtualBytes ?? disk?.virtualBytes ?? 0,
      allocatedBytes: ended.result?.allocatedBytes ?? 0,
    });
  }
  await recordDomains(app, ended.hypervisorId, [initial.id]);
}
