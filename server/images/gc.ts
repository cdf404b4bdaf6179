/** Versions that nobody needs any more: which they are, and removing them on every hypervisor. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageCopyRow, ImageVersionRow, MachineRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { nameSome } from "../machines/service.ts";
import { asWorkOn } from "./turns.ts";
import { nameOf, requireInitial, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({ versionId: Id });
const dayMs = 24 * 3600_000;

/** What the policy goes by. */
export interface KeptVersion {
  id: string;
  number: number;
  sealed: boolean;
  sealedAt: number;
  /** Current, pinned, booted from, rolled out or below a clone. */
  needed: boolean;
}

/** Sealed versions that the policy lets go: too many, old enough, and needed by nobody. */
export function versionsToDrop(
  versions: readonly KeptVersion[],
  { keepVersions, keepDays }: { keepVersions: number; keepDays: number },
  now: number,
): string[] {
  const sealed = versions.filter((version) => version.sealed).sort((a, b) => b.number - a.number);
  // Those that are needed count, wherever they are in the row.
  let kept = sealed.filter(({ needed }) => needed).length;
  return sealed.filter(({ needed, sealedAt }) => {
    if (needed) return false;
    if (kept < keepVersions || now - sealedAt < keepDays * dayMs) {
      kept++;
      return false;
    }
    return true;
  }).map(({ id }) => id);
}

/** Starts to remove what the policy lets go, of one initial or of all. What is in the way waits for the next time. */
export async function collectVersions(app: App, initialIds?: readonly string[]): Promise<void> {
  const { keepImageVersions: keepVersions, keepImageDays: keepDays } = app.settings.current();
  for (const initialId of initialIds ?? await store.findInitialIds(app.db)) {
    const initial = await requireInitial(app, initialId);
    const versions = await store.findVersionsOf(app.db, [initialId]);
    const judged = await Promise.all(versions.map(async (version) => ({
      id: version.id,
      number: version.number,
      sealed: version.state === "sealed",
      sealedAt: version.sealed_at ?? version.created_at,
      needed: await useOf(app, initial, version) !== null,
    })));
    for (const id of versionsToDrop(judged, { keepVersions, keepDays }, app.now())) {
      try {
        const job = await deleteVersion(app, id, null);
        await app.jobs.ended(job.id, app.signal);
      } catch (error) {
        if (app.signal.aborted) return;
        if (!(error instanceof AppError)) throw error;
        app.log.info({ err: error, versionId: id }, "an old version of an image stays for now");
      }
    }
  }
}

/** Why a version cannot go, for people; null if it can. */
async function useOf(app: App, initial: MachineRow, version: ImageVersionRow): Promise<string | null> {
  if (version.state === "copying") return "it is being copied. Cancel that first.";
  if (version.pinned === 1) return "it is pinned. Unpin it first.";
  const onIt = (await store.findClones(app.db, [initial.id])).filter((row) => row.version_id === version.id);
  if (onIt.length > 0) return `${nameSome(onIt)} are based on it. Publish another version first.`;
  if (initial.current_version_id === version.id) {
    return "it is the current version. Publish another one first.";
  }
  const rollout = await store.findRollout(app.db, initial.id);
  if (rollout?.version_id === version.id) return "it is being rolled out.";
  if (initial.version_id === version.id) {
    return `${initial.name} boots from it. Copy the source's disk for a newer version first.`;
  }
  return null;
}

/**
 * Starts to delete a version on every hypervisor.
 * @param actor null: the dashboard itself
 * @throws {AppError} `conflict` saying what uses it; `unavailable` while a hypervisor that has it is away.
 */
export async function deleteVersion(app: App, id: string, actor: Actor | null): Promise<Job> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  await requireUnused(app, initial, version);
  const name = nameOf(initial, version);
  const job = await app.jobs.start({
    kind: "delete-image",
    subject: { id: initial.id, name },
    by: actor,
    input: { versionId: id },
    progress: { stage: "deleting" },
  });
  await audit(app, { actor, action: "image.delete", subjectId: initial.id, subjectName: name });
  return job;
}

async function requireUnused(app: App, initial: MachineRow, version: ImageVersionRow): Promise<void> {
  const use = await useOf(app, initial, version);
  if (use !== null) throw new AppError("conflict", `${nameOf(initial, version)} cannot be deleted: ${use}`);
  for (const { hypervisor_id } of await store.findCopies(app.db, [version.id])) app.agents.of(hypervisor_id);
}

/** Carries it out. Looks again first: nothing else changes which version is current while this job is open. */
export async function runDeletion(app: App, operation: LocalOperation): Promise<void> {
  const { versionId } = Input.parse(operation.input);
  if (!await store.findVersion(app.db, versionId)) return;
  const { version, initial } = await requireVersionAndInitial(app, versionId);
  await requireUnused(app, initial, version);
  await asWorkOn(app, versionId, operation.job.id, async () => {
    tellImage(app, initial.id);
    const copies = await store.findCopies(app.db, [versionId]);
    // On shared storage each agent sees the uses of its own machines only: all are asked before anything goes.
    for (const { hypervisor_id, path } of copies) {
      const file = (await app.agents.of(hypervisor_id).storage(operation.signal))
        .find((stored) => stored.path === path);
      if (!file?.inUse) continue;
      const { name } = await requireHypervisor(app, hypervisor_id);
      throw new AppError(
        "conflict",
        `${nameOf(initial, version)} cannot be deleted: ${path} is in use on ${name}.`,
      );
    }
    for (const { hypervisor_id, path } of copies) {
      await deleteCopy(app, hypervisor_id, path);
      await store.removeCopy(app.db, versionId, hypervisor_id);
    }
    await store.removeVersion(app.db, versionId);
  });
  tellImage(app, initial.id);
}

/** A file that is gone already, as the same on shared storage, is no failure. */
async function deleteCopy(app: App, hypervisorId: string, path: string): Promise<void> {
  const agent = app.agents.of(hypervisorId);
  const [item] = (await agent.deleteFiles([path])).items;
  if (!item || item.deleted) return;
  const gone = await agent.fileIdentity(path).then(() => false, (error) => {
    if (error instanceof AppError && error.code === "not_found") return true;
    throw error;
  });
  if (!gone) throw new AppError("conflict", `${path} could not be deleted: ${item.message}`);
}

/** Files of an initial's image on other hypervisors, which its own agent does not see. */
export async function findCopiesElsewhere(app: App, initial: MachineRow): Promise<ImageCopyRow[]> {
  const versions = await store.findVersionsOf(app.db, [initial.id]);
  const copies = await store.findCopies(app.db, versions.map(({ id }) => id));
  return copies.filter(({ hypervisor_id }) => hypervisor_id !== initial.hypervisor_id);
}

/** Removes what is left of an image whose initial is gone. */
export async function deleteCopies(app: App, copies: readonly ImageCopyRow[]): Promise<void> {
  for (const { hypervisor_id, path } of copies) {
    try {
      await deleteCopy(app, hypervisor_id, path);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // The storage page offers it as a stray file when the hypervisor is back.
      app.log.warn({ err: error, hypervisorId: hypervisor_id, path }, "a copy of an image stays behind");
    }
  }
}
