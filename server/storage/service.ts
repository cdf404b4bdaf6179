/** Files on hypervisors: what lies there and whose it is, deleting what nothing needs, sending files to a browser. */
import type { z } from "zod";
import type { FileBytes } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { DeletedFiles, FileKind, StorageFile, StorageReport } from "../../contracts/storage.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import { Explainer } from "./explain.ts";
import { findKnownFiles } from "./store.ts";

/** @throws {AppError} `not_found`; `unavailable` while the hypervisor is offline. */
export async function getStorage(app: App, hypervisorId: string): Promise<StorageReport> {
  await requireHypervisor(app, hypervisorId);
  const stored = await app.agents.of(hypervisorId).storage();
  const explainer = new Explainer(hypervisorId, await findKnownFiles(app.db, hypervisorId));
  const files = stored.map((file) => explainer.explain(file));
  return { hypervisorId, readAt: app.now(), totals: addUp(files), files };
}

function addUp(files: readonly StorageFile[]): StorageReport["totals"] {
  const totals = new Map<FileKind, { kind: FileKind; count: number; allocatedBytes: number }>();
  for (const { kind, allocatedBytes } of files) {
    const total = totals.getOrInsertComputed(kind, () => ({ kind, count: 0, allocatedBytes: 0 }));
    total.count++;
    total.allocatedBytes += allocatedBytes;
  }
  return [...totals.values()].sort((one, other) => other.allocatedBytes - one.allocatedBytes);
}

/**
 * Deletes files, each for itself; what the report does not call removable stays, and is told with the reason.
 * @throws {AppError} `not_found`; `unavailable` while the hypervisor is offline.
 */
export async function deleteFiles(
  app: App,
  hypervisorId: string,
  paths: readonly string[],
  actor: Actor,
): Promise<z.infer<typeof DeletedFiles>> {
  const hypervisor = await requireHypervisor(app, hypervisorId);
  const { files } = await getStorage(app, hypervisorId);
  const known = new Map(files.map((file) => [file.path, file]));
  const removable = [...new Set(paths)].filter((path) => known.get(path)?.removable);
  const { items } = removable.length > 0
    ? await app.agents.of(hypervisorId).deleteFiles(removable)
    : { items: [] };
  const results = new Map(items.map((item) => [item.path, item]));
  const deleted = items.filter((item) => item.deleted).map(({ path }) => path);
  if (deleted.length > 0) {
    await audit(app, {
      actor,
      action: "file.delete",
      subjectId: hypervisorId,
      subjectName: hypervisor.name,
      detail: deleted.join(", ").slice(0, 2000),
    });
  }
  return {
    items: paths.map((path) => {
      const message = known.get(path)?.reason ?? "There is no such file on the hypervisor.";
      return results.get(path) ?? { path, deleted: false, message };
    }),
  };
}

/**
 * Opens a file of a hypervisor for sending it to a browser. Bytes flow as fast as they are taken.
 * @throws {AppError} `not_found`, `invalid` for a file outside the agent's directories, `conflict` while it changes.
 */
export async function openDownload(
  app: App,
  hypervisorId: string,
  path: string,
  from: number,
  signal: AbortSignal,
): Promise<FileBytes> {
  await requireHypervisor(app, hypervisorId);
  const file = await app.agents.of(hypervisorId).readFile(path, from, signal);
  if (from > 0 && from >= file.totalBytes) {
    throw new AppError("invalid", `${path} has ${file.totalBytes} bytes: nothing begins at ${from}.`);
  }
  return file;
}

/** Notes that somebody has begun to take a file away. */
export async function auditDownload(
  app: App,
  hypervisorId: string,
  path: string,
  actor: Actor,
): Promise<void> {
  const { name } = await requireHypervisor(app, hypervisorId);
  await audit(app, {
    actor,
    action: "file.download",
    subjectId: hypervisorId,
    subjectName: name,
    detail: path,
  });
}
