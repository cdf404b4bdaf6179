/** The files of data disks: made, grown and brought to another hypervisor, by jobs that hold the disk. */
import { dirname } from "node:path";
import { z } from "zod";
import { Bytes, Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { DataDiskRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import { seesSame } from "../images/distribute.ts";
import { transferImage } from "../images/transfer.ts";
import type { LocalOperation } from "../jobs/service.ts";
import * as store from "./store.ts";

const Input = z.object({
  diskId: Id,
  /** Of a new disk or one that is grown. */
  bytes: Bytes.nullable(),
  /** Where it is to be; it is brought there. */
  hypervisorId: Id,
});

/**
 * Makes or grows the disk's file, or brings it to another hypervisor, and waits for that. Whoever asks while somebody
 * else's request is being carried out waits for that first.
 * @throws {AppError} what the job failed with.
 */
export async function shapeDisk(
  app: App,
  disk: DataDiskRow,
  wanted: { bytes: number | null; hypervisorId: string },
  signal: AbortSignal,
): Promise<DataDiskRow> {
  for (let other = app.jobs.holderOf(disk.id); other; other = app.jobs.holderOf(disk.id)) {
    await app.jobs.ended(other.id, signal);
  }
  const now = await requireDisk(app, disk.id);
  const isWhole = now.path !== "" && now.hypervisor_id === wanted.hypervisorId;
  if (isWhole && (wanted.bytes ?? 0) <= now.bytes) return now;
  const input: z.output<typeof Input> = { diskId: disk.id, ...wanted };
  const job = await app.jobs.start({
    kind: "create-data-disk",
    subject: { id: disk.id, name: `data disk of ${disk.owner_name}` },
    by: null,
    input,
    progress: { stage: "preparing the data disk" },
    cancellable: true,
  });
  const { state, error } = await app.jobs.ended(job.id, signal);
  if (state === "succeeded") return await requireDisk(app, disk.id);
  throw new AppError(
    error?.code ?? "interrupted",
    error?.message ?? `The data disk: the job ended as ${state}.`,
  );
}

export async function requireDisk(app: Pick<App, "db">, id: string): Promise<DataDiskRow> {
  const disk = await store.findDataDisk(app.db, id);
  if (!disk) throw new AppError("not_found", "There is no such data disk; it may have been deleted.");
  return disk;
}

/** Carries such a job out; goes on after a restart of the dashboard. */
export async function runShaping(app: App, operation: LocalOperation): Promise<void> {
  const { diskId, bytes, hypervisorId } = Input.parse(operation.input);
  const disk = await requireDisk(app, diskId);
  if (disk.path !== "" && disk.hypervisor_id !== hypervisorId) {
    return await moveDisk(app, operation, disk, hypervisorId);
  }
  for (const step of await operation.earlierSteps()) await app.jobs.ended(step.id, operation.signal);
  await app.agents.untilUsable(hypervisorId, operation.signal);
  operation.report({ stage: disk.path === "" ? "making the data disk" : "making the data disk larger" });
  const wantedBytes = Math.max(bytes ?? 0, disk.bytes);
  const step = await operation.step(
    { kind: "create-data-disk", subject: { id: null, name: disk.owner_name } },
    hypervisorId,
    { kind: "create-data-disk", diskId, name: fileNameOf(disk), bytes: wantedBytes },
  );
  const { state, error, result } = step;
  if (state !== "succeeded" || !result) {
    throw new AppError(
      error?.code ?? "interrupted",
      error?.message ?? `Making the data disk ended as ${state}.`,
    );
  }
  await store.updateDisk(app.db, diskId, {
    hypervisor_id: hypervisorId,
    path: result.path,
    bytes: result.virtualBytes,
  });
}

/** The new place counts once the file is whole there; only then the old file goes. */
async function moveDisk(
  app: App,
  operation: LocalOperation,
  disk: DataDiskRow,
  hypervisorId: string,
): Promise<void> {
  const [from, to] = await Promise.all([
    requireHypervisor(app, disk.hypervisor_id),
    requireHypervisor(app, hypervisorId),
  ]);
  const { signal } = operation;
  const identity = await app.agents.of(from.id).fileIdentity(disk.path, signal);
  const atHome = dirname(disk.path) === app.agents.status(to.id).facts?.settings.imageDir;
  if (atHome && await seesSame(app.agents.of(to.id), disk.path, identity, signal)) {
    return await store.updateDisk(app.db, disk.id, { hypervisor_id: to.id });
  }
  const { path, virtualBytes } = await transferImage(app, operation, {
    fromHypervisorId: from.id,
    path: disk.path,
    toHypervisorId: to.id,
    to: { kind: "data", diskId: disk.id, name: fileNameOf(disk) },
    bytes: identity.bytes,
    allocatedBytes: identity.bytes,
    sha256: null,
    stage: `bringing the data disk of ${disk.owner_name} from ${from.name} to ${to.name}`,
  });
  await store.updateDisk(app.db, disk.id, { hypervisor_id: to.id, path, bytes: virtualBytes });
  await removeLeftover(app, from.id, disk.path);
}

/** A file that is somewhere else now. What cannot be removed is shown as a stray on the storage page. */
export async function removeLeftover(app: App, hypervisorId: string, path: string): Promise<boolean> {
  try {
    const { items: [item] } = await app.agents.of(hypervisorId).deleteFiles([path]);
    if (item?.deleted) return true;
    app.log.warn({ hypervisorId, path, reason: item?.message }, "a file that was moved away is left over");
  } catch (error) {
    app.log.warn({ err: error, hypervisorId, path }, "a file that was moved away is left over");
  }
  return false;
}

/** Letters that a file name may have. */
export const fileNameOf = ({ owner_name, scope }: Pick<DataDiskRow, "owner_name" | "scope">): string =>
  `${scope}-${owner_name.normalize("NFKD").replace(/[^A-Za-z0-9._-]/g, "_")}`.slice(0, 64);
