/** Bringing sealed versions to the hypervisors whose clones need them. */
import { dirname } from "node:path";
import { z } from "zod";
import type { Agent, ImageResult } from "../../contracts/agent.ts";
import { Id } from "../../contracts/common.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import type { DistributeRequest } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { FileIdentity } from "../../contracts/storage.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageCopyRow, ImageVersionRow, MachineRow } from "../db/schema.ts";
import { listHypervisorRows, requireHypervisor } from "../hypervisors/service.ts";
import { type LocalOperation, partialFailure } from "../jobs/service.ts";
import { requireMachine } from "../machines/service.ts";
import { sealWithin } from "./seal.ts";
import { requireSuccess, takeStep } from "./steps.ts";
import { transferImage } from "./transfer.ts";
import { asWorkOn, inTurn } from "./turns.ts";
import { currentVersion, nameOf, requireVersion, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({ versionId: Id, hypervisorIds: z.array(Id) });

/**
 * Starts to copy a sealed version to further hypervisors, or to repair copies that are missing.
 * @throws {AppError} `conflict` if it is not sealed; `not_found` for a hypervisor that does not exist.
 */
export async function distributeVersion(
  app: App,
  id: string,
  { hypervisorIds }: z.output<typeof DistributeRequest>,
  actor: Actor,
): Promise<Job> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  const name = nameOf(initial, version);
  if (version.state !== "sealed") {
    throw new AppError("conflict", `${name} cannot be copied: it is ${version.state}. Seal it first.`);
  }
  for (const hypervisorId of hypervisorIds) await requireHypervisor(app, hypervisorId);
  const job = await app.jobs.start({
    kind: "distribute",
    subject: { id: initial.id, name },
    by: actor,
    input: { versionId: id, hypervisorIds },
    progress: { stage: "copying" },
    cancellable: true,
  });
  await audit(app, { actor, action: "image.distribute", subjectId: initial.id, subjectName: name });
  return job;
}

/** Carries it out; goes on after a restart. */
export async function runDistribution(app: App, operation: LocalOperation): Promise<void> {
  const { versionId, hypervisorIds } = Input.parse(operation.input);
  const version = await sealWithin(app, operation, { id: versionId });
  await distributeTo(app, operation, version, hypervisorIds);
  requireDistributed(operation.job);
}

/** @throws {AppError} when it could not be brought to one of the hypervisors. */
export function requireDistributed({ items }: Pick<Job, "items">): void {
  if (items.every(({ ok }) => ok)) return;
  const { code, message } = partialFailure(items);
  throw new AppError(code, message);
}

/** Copies a version to where its clones are and to where it was asked for. Hosts that are away get it later. */
export async function distributeToAll(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
): Promise<Pick<Job, "items">> {
  const clones = await store.findClones(app.db, [version.initial_id]);
  const asked = Id.array().parse(JSON.parse(version.hypervisor_ids));
  const known = new Set((await listHypervisorRows(app)).map(({ id }) => id));
  const wanted = [...new Set([...asked, ...clones.map((clone) => clone.hypervisor_id)])]
    .filter((id) => known.has(id) && app.agents.status(id).usable);
  await distributeTo(app, operation, version, wanted);
  return { items: operation.job.items };
}

/** One after another, since all come from the same disk; an item for each that it was brought to. */
async function distributeTo(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
  hypervisorIds: readonly string[],
): Promise<void> {
  for (const id of hypervisorIds) {
    if (operation.job.items.some((item) => item.id === id)) continue;
    const { name } = await requireHypervisor(app, id);
    try {
      if ((await store.findCopy(app.db, version.id, id))?.state === "present") continue;
      await ensureCopy(app, operation, version, id);
      operation.addItem({ id, name, ok: true, message: null });
    } catch (error) {
      operation.signal.throwIfAborted();
      operation.addItem({ id, name, ok: false, message: errorInfoOf(error).message });
    }
  }
}

/** Makes the initial's current version ready for clones on a hypervisor: sealed, and there. Returns where. */
export async function ensureVersionOn(
  app: App,
  operation: LocalOperation,
  initialId: string,
  hypervisorId: string,
): Promise<{ versionId: string; path: string }> {
  const current = await currentVersion(app, await requireMachine(app, initialId));
  const version = await sealWithin(app, operation, current);
  return { versionId: version.id, path: await ensureCopy(app, operation, version, hypervisorId) };
}

/**
 * Makes sure that a hypervisor has the version's file, and returns its path there.
 * @throws {AppError} `unavailable` when nobody who has it can be reached, or what the copy failed with.
 */
export function ensureCopy(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
  hypervisorId: string,
): Promise<string> {
  return inTurn(app, `copy ${version.id} ${hypervisorId}`, async () => {
    operation.signal.throwIfAborted();
    const known = await store.findCopy(app.db, version.id, hypervisorId);
    if (known?.state === "present") return known.path;
    const initial = await requireMachine(app, version.initial_id);
    const target = app.agents.of(hypervisorId);
    const from = await sourceCopy(app, version, initial);
    const copy: ImageCopyRow = {
      version_id: version.id,
      hypervisor_id: hypervisorId,
      path: from.path,
      state: "copying",
      error: null,
      allocated_bytes: 0,
    };
    await put(app, initial.id, copy);
    try {
      const { path, allocatedBytes } = await asWorkOn(
        app,
        version.id,
        operation.job.id,
        () => bring(app, operation, { initial, version, from, hypervisorId, target }),
      );
      await put(app, initial.id, { ...copy, path, allocated_bytes: allocatedBytes, state: "present" });
      return path;
    } catch (error) {
      await putFailure(app, operation, initial.id, copy, error);
      throw error;
    }
  });
}

async function put(app: App, initialId: string, copy: ImageCopyRow): Promise<void> {
  await store.putCopy(app.db, copy);
  tellImage(app, initialId);
}

async function putFailure(
  app: App,
  operation: LocalOperation,
  initialId: string,
  copy: ImageCopyRow,
  error: unknown,
): Promise<void> {
  if (operation.isCancelled()) await store.removeCopy(app.db, copy.version_id, copy.hypervisor_id);
  // A dashboard that stops takes it up again at its next start.
  else if (!operation.signal.aborted) {
    await store.putCopy(app.db, { ...copy, state: "failed", error: errorInfoOf(error).message });
  }
  tellImage(app, initialId);
}

/** A copy that can be read now, the one beside the initial first. */
async function sourceCopy(app: App, version: ImageVersionRow, initial: MachineRow): Promise<ImageCopyRow> {
  const present = (await store.findCopies(app.db, [version.id])).filter(({ state }) => state === "present");
  const usable = present.filter(({ hypervisor_id }) => app.agents.status(hypervisor_id).usable);
  const copy = usable.find(({ hypervisor_id }) => hypervisor_id === initial.hypervisor_id) ?? usable[0];
  if (copy) return copy;
  const name = nameOf(initial, version);
  if (present.length === 0) {
    throw new AppError("conflict", `${name} is missing on every hypervisor. Publish another version.`);
  }
  throw new AppError("unavailable", `No hypervisor that has ${name} can be reached now. Try again later.`);
}

interface Delivery {
  initial: MachineRow;
  version: ImageVersionRow;
  from: ImageCopyRow;
  hypervisorId: string;
  target: Agent;
}

/** Over shared storage where both see the file, else as a stream. */
async function bring(
  app: App,
  operation: LocalOperation,
  { initial, version, from, hypervisorId, target }: Delivery,
): Promise<Pick<ImageResult, "path" | "allocatedBytes">> {
  const here = await app.agents.of(from.hypervisor_id).fileIdentity(from.path, operation.signal);
  const { name: hypervisorName } = await requireHypervisor(app, hypervisorId);
  const stage = `copying ${nameOf(initial, version)} to ${hypervisorName}`;
  const to = {
    kind: "version" as const,
    initialId: initial.id,
    name: initial.name,
    version: version.number,
  };
  if (!await seesSame(target, from.path, here, operation.signal)) {
    const { bytes } = here;
    return await transferImage(app, operation, {
      fromHypervisorId: from.hypervisor_id,
      path: from.path,
      toHypervisorId: hypervisorId,
      to,
      bytes,
      allocatedBytes: from.allocated_bytes || bytes,
      sha256: version.sha256,
      stage,
    });
  }
  if (dirname(from.path) === app.agents.status(hypervisorId).facts?.settings.imageDir) {
    return { path: from.path, allocatedBytes: from.allocated_bytes };
  }
  const step = requireSuccess(
    await takeStep(
      app,
      operation,
      { kind: "copy-image", subject: { id: null, name: stage } },
      hypervisorId,
      { kind: "copy-image", fromPath: from.path, to, asIs: true, sha256: version.sha256 },
      (progress) => operation.report({ ...progress, stage }),
    ),
  );
  if (step.result) return step.result;
  throw new AppError("interrupted", `${stage} was interrupted by a restart. Start it again.`);
}

/** Whether another hypervisor sees the very file, as on shared storage. */
export async function seesSame(
  agent: Agent,
  path: string,
  file: FileIdentity,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const there = await agent.fileIdentity(path, signal);
    return there.bytes === file.bytes && there.modifiedAt === file.modifiedAt &&
      there.headSha256 === file.headSha256;
  } catch (error) {
    // Not there, or at a place where that agent does not look.
    const codes = ["not_found", "invalid", "forbidden"];
    if (error instanceof AppError && codes.includes(error.code)) return false;
    throw error;
  }
}

/** Looks whether what should lie on a hypervisor is there; after each connection. */
export async function verifyCopies(app: App, hypervisorId: string): Promise<void> {
  const agent = app.agents.of(hypervisorId);
  for (const copy of await store.findCopiesOn(app.db, hypervisorId)) {
    if (copy.state !== "present" && copy.state !== "missing") continue;
    const there = await agent.fileIdentity(copy.path).then(() => true, (error) => {
      if (error instanceof AppError && error.code === "not_found") return false;
      if (error instanceof AppError && error.code === "invalid") return true;
      throw error;
    });
    const state = there ? "present" : "missing";
    if (state === copy.state) continue;
    const error = there ? null : "The file is not there any more. Copy it again.";
    await store.putCopy(app.db, { ...copy, state, error });
    tellImage(app, (await requireVersion(app, copy.version_id)).initial_id);
  }
}
