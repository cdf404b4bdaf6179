import type { z } from "zod";
import type { FlattenOperation, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { copyImage } from "../images/copy_image.ts";
import {
  imagePath,
  listOwnFiles,
  type Named,
  readOwnFile,
  removeIfPresent,
  statIfPresent,
} from "../images/files.ts";
import { describeImage } from "../images/image_result.ts";
import { type IdleMachine, requireIdleMachine, requireQuiet } from "../images/idle_machine.ts";
import { readUses } from "../images/uses.ts";
import { readVirtualBytes } from "../images/virtual_size.ts";
import { setDisk, writeMetadata } from "../libvirt/domain_xml.ts";

type Input = z.output<typeof FlattenOperation>;

const what = "Flatten";

/**
 * Copies a vdi's overlay with all that lies below it to one image of its own, then makes it a simple machine on that.
 * The switch is one redefinition: before it nothing of the machine has changed, after it the overlay goes.
 */
export const flatten: JobOperation<Input> = { run, recover };

async function run(host: Host, { machineId }: Input, op: Operation): Promise<ImageResult> {
  using _lock = await host.locks.hold([machineId], {
    purpose: "it is being flattened",
    by: "job",
    signal: op.signal,
  });
  op.report({ stage: "Checking the machine" });
  const machine = await requireIdleMachine(host, machineId, what);
  const { disk, metadata } = requireClone(machine);
  const uses = await readUses(host);
  await requireQuiet(disk, uses, what, op.signal);
  await using undo = new AsyncDisposableStack();
  const from = { ...disk, virtualBytes: await readVirtualBytes(disk.path, disk.format) };
  const path = await freePath(host, machine.domain);
  await copyImage({ from, to: path, stage: "Copying the disk with its base" }, op, undo);
  const xml = setDisk(machine.xml, disk.target, path);
  const simple = { ...metadata, role: "simple", owned: true, imageVersion: 0 } as const;
  await host.virsh.define(writeMetadata(xml, simple));
  undo.move();
  await host.domains.refresh(machineId);
  await removeOverlay(host, machineId, disk.path);
  return await describeImage(path);
}

function requireClone({ domain, disk, parsed }: IdleMachine) {
  const metadata = parsed.machine;
  if (metadata?.role !== "vdi") {
    throw new AppError("invalid", `${what} ${domain.name}: it is not a vdi machine.`);
  }
  if (!disk) throw new AppError("conflict", `${what} ${domain.name}: it has no disk image.`);
  return { metadata, disk: { ...disk, format: disk.format ?? "raw" } };
}

/** A name of the machine's own that no file has; the overlay keeps the plain one until it goes. */
async function freePath(host: Host, machine: Named): Promise<string> {
  for (let number = 0;; number++) {
    const path = imagePath(host.config.imageDir, machine, number === 0 ? undefined : number);
    if (!await statIfPresent(path)) return path;
  }
}

/** What cannot be removed now is shown as a stray. */
async function removeOverlay(host: Host, id: string, path: string): Promise<void> {
  try {
    const own = host.imageDirs().some((dir) => readOwnFile(dir, id, path) !== null);
    const uses = await readUses(host);
    if (own && (await uses.of(path)).length === 0) await removeIfPresent(path);
  } catch (error) {
    host.log.warn(
      { err: error, machineId: id, path },
      "the overlay of a flattened machine could not be removed",
    );
  }
}

/** Removes what the machine does not use: half a copy, a whole one before the switch, the overlay after it. */
async function recover(host: Host, { machineId }: Input): Promise<void> {
  using _lock = await host.locks.hold([machineId], {
    purpose: "an interrupted flattening is being cleaned up",
    by: "job",
  });
  const domain = await host.domains.refresh(machineId);
  const uses = await readUses(host);
  const files = await listOwnFiles(host.config.imageDir, machineId);
  const kept = domain && files.some(({ path }) => domain.disks.some((disk) => disk.path === path));
  for (const { path, partial } of files) {
    if (partial || kept && (await uses.of(path)).length === 0) await removeIfPresent(path);
  }
}
