import { availableParallelism } from "node:os";
import type { z } from "zod";
import type { Domain, PopulateOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { JobItem } from "../../contracts/job.ts";
import { forEachOf } from "../../lib/for_each.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import {
  imagePath,
  listOwnFiles,
  partialOf,
  readOwnFile,
  removeIfPresent,
  statIfPresent,
  sync,
} from "../images/files.ts";
import { busyReason, requireIdleMachine, requireQuiet } from "../images/idle_machine.ts";
import { imageKey, isSealed, requireImage } from "../images/known_image.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";
import { listNames, readUses, type Uses } from "../images/uses.ts";
import { readMetadata, setDisk, writeMetadata } from "../libvirt/domain_xml.ts";
import { createOverlay } from "../libvirt/qemu_img.ts";

type Input = z.output<typeof PopulateOperation>;

interface Base {
  path: string;
  format: string;
}

/**
 * Gives every vdi a new, empty overlay as its first disk, on the version that was asked for or on the initial's image. Each machine succeeds or fails for itself;
 * the job fails when one of them did.
 */
export const populate: JobOperation<Input> = { run, recover };

async function run(host: Host, { initialId, basePath, machineIds }: Input, op: Operation): Promise<void> {
  const ids = [...new Set(machineIds)];
  op.report({ stage: "Checking the machines", done: 0, total: ids.length, unit: "items" });
  const purposes = new Map(ids.map((id) => [id, host.locks.purposeOf(id)]));
  const free = ids.filter((id) => purposes.get(id) === undefined);
  using _lock = await host.locks.hold([...await initialsOf(host, initialId, basePath), ...free], {
    purpose: "it is being populated",
    sharedKeys: basePath === null ? [] : [await imageKey(basePath)],
    by: "job",
    signal: op.signal,
  });
  const listing = host.virsh.listBusy({ signal: op.signal });
  const [base, uses, busyIds] = await Promise.all([
    basePath === null ? requireBase(host, initialId, listing) : requireImage(host, basePath, "Populate"),
    readUses(host),
    listing,
  ]);
  // An overlay on a base that still changes would be broken for good.
  await requireQuiet(base, uses, "Populate", op.signal);
  const items: JobItem[] = [];
  const failures: unknown[] = [];
  await forEachOf(ids, availableParallelism() * 2, op.signal, async (id) => {
    const domain = host.domains.get(id);
    try {
      const purpose = purposes.get(id);
      if (purpose !== undefined) throw new AppError("conflict", `it is busy: ${purpose}`);
      const machine = requireVdi(domain, await busyReason(host, id, busyIds));
      await populateOne(host, machine, base, uses, op.signal);
      items.push({ id, name: machine.name, ok: true, message: null });
    } catch (error) {
      op.signal.throwIfAborted();
      failures.push(error);
      items.push({ id, name: domain?.name ?? id, ok: false, message: messageOf(host, id, error) });
    }
    op.items([...items]);
    op.report({ stage: "Populating", done: items.length, total: ids.length, unit: "items" });
  });
  await sync(host.config.imageDir);
  requireAll(items, failures);
}

/** The machines that could write to the base if they were started now. */
async function initialsOf(host: Host, initialId: string, basePath: string | null): Promise<string[]> {
  if (basePath === null) return [initialId];
  const { userIds } = await requireImage(host, basePath, "Populate");
  return isSealed(await Deno.stat(basePath)) ? [] : userIds;
}

/** The initial's current image, of an initial that is off. */
async function requireBase(host: Host, id: string, busyIds: Promise<ReadonlySet<string>>): Promise<Base> {
  const { domain, parsed, disk } = await requireIdleMachine(host, id, "Populate", busyIds);
  if (parsed.machine?.role !== "initial") {
    throw new AppError("invalid", `Populate from ${domain.name}: it is not an initial machine.`);
  }
  if (!disk) {
    throw new AppError(
      "conflict",
      `Populate from ${domain.name}: it has no image yet. Copy the disk from its source.`,
    );
  }
  return { path: disk.path, format: disk.format ?? "raw" };
}

function requireVdi(domain: Domain | undefined, busy: string | null): Domain {
  if (!domain) throw new AppError("not_found", "there is no such domain on this hypervisor");
  if (domain.role !== "vdi") throw new AppError("invalid", "it is not a vdi machine");
  if (busy) throw new AppError("conflict", busy);
  return domain;
}

async function populateOne(
  host: Host,
  machine: Domain,
  base: Base,
  uses: Uses,
  signal: AbortSignal,
): Promise<void> {
  const disk = machine.disks.find(({ device }) => device === "disk");
  const current = disk?.path ?? null;
  const own = current !== null && readOwnFile(host.config.imageDir, machine.id, current) !== null;
  const path = own ? current : imagePath(host.config.imageDir, machine);
  const others = (await uses.of(path)).filter((holder) => holder.id !== machine.id).map(({ name }) => name);
  if (others.length > 0) {
    throw new AppError("conflict", `its image ${path} is also used by ${listNames(others)}`);
  }
  await replaceOverlay(path, base, signal);
  if (path === current) return await host.domains.refreshImages(machine.id);
  await defineDisk(host, machine.id, disk?.target ?? null, path);
  // Its former overlay, where the image directory was changed since.
  const isFormer = current !== null && readOwnFile(host.imageDirs(), machine.id, current) !== null;
  if (isFormer && (await uses.of(current)).every(({ id }) => id === machine.id)) {
    await removeIfPresent(current);
  }
}

/** Makes the overlay beside its place, looks whether it is what was asked for, and only then puts it there. */
async function replaceOverlay(path: string, base: Base, signal: AbortSignal): Promise<void> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeIfPresent(partialOf(path)));
  await createOverlay(partialOf(path), base, { signal });
  const header = await statIfPresent(partialOf(path)) && await readQcow2Header(partialOf(path));
  if (header?.backingName !== base.path || header.backingFormat !== base.format) {
    throw new AppError("hypervisor_failed", `qemu-img did not make a whole overlay at ${partialOf(path)}`);
  }
  await Deno.rename(partialOf(path), path);
  undo.move();
}

/** For a machine without a disk, or one that was adopted with a disk of its own, which stays where it is. */
async function defineDisk(host: Host, id: string, target: string | null, path: string): Promise<void> {
  const xml = setDisk(await host.virsh.dumpXml(id, { inactive: true, securityInfo: true }), target, path);
  const metadata = readMetadata(xml);
  if (!metadata) throw new AppError("conflict", "it is no longer managed by KVM-VDI");
  await host.virsh.define(writeMetadata(xml, { ...metadata, owned: true }));
  await host.domains.refresh(id);
}

function messageOf(host: Host, id: string, error: unknown): string {
  if (error instanceof AppError) return error.message;
  host.log.error({ err: error, machineId: id }, "populating a machine failed");
  return "something went wrong inside KVM-VDI. The log of the hypervisor's agent has the details";
}

function requireAll(items: JobItem[], failures: unknown[]): void {
  const failed = items.filter((item) => !item.ok);
  if (failed.length === 0) return;
  const code = failures.every((error) => error instanceof AppError && error.code !== "hypervisor_failed")
    ? "conflict"
    : "hypervisor_failed";
  const names = listNames(failed.map(({ name }) => name));
  throw new AppError(
    code,
    `Populate: ${failed.length} of ${items.length} machines failed: ${names}. The first: ${
      failed[0]?.message
    }.`,
    { cause: failures[0] },
  );
}

/** Removes overlays that were not put in place. Those that were are whole. */
async function recover(host: Host, { machineIds }: Input): Promise<void> {
  for (const id of machineIds) {
    for (const file of await listOwnFiles(host.imageDirs(), id)) {
      if (file.partial) await removeIfPresent(file.path);
    }
  }
}
