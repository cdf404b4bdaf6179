import { setTimeout as delay } from "node:timers/promises";
import { dirname } from "node:path";
import type { z } from "zod";
import type { CreateDataDiskOperation, Domain, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { dataDiskPath, partialOf, removeIfPresent, replaceFile, statIfPresent } from "../images/files.ts";
import { requireIdleMachine } from "../images/idle_machine.ts";
import { describeImage } from "../images/image_result.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";
import { type Holder, listNames, readUses } from "../images/uses.ts";
import {
  attachedDataDisk,
  dataDiskElement,
  dataDiskOf,
  isDataDisk,
  readDomain,
  withDataDisk,
} from "../libvirt/domain_xml.ts";
import { createBlank, growImage } from "../libvirt/qemu_img.ts";
import { isUp, requireDomain } from "./start_machine.ts";

type Input = z.output<typeof CreateDataDiskOperation>;

/** Makes the file of a personal data disk, or makes the one that is there larger; it never shrinks. */
export const createDataDisk: JobOperation<Input> = { run, recover };

async function run(host: Host, { diskId, name, bytes }: Input, op: Operation): Promise<ImageResult> {
  const path = await existingPath(host, diskId, name) ?? newPath(host, diskId, name);
  using _lock = await host.locks.hold([path], { purpose: "its size changes", by: "job", signal: op.signal });
  op.report({ stage: "Making the data disk" });
  const header = await statIfPresent(path) && await readQcow2Header(path);
  if (header) {
    if (header.virtualBytes < bytes) await grow(host, path, bytes, op.signal);
    return await describeImage(path);
  }
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeIfPresent(partialOf(path)));
  await createBlank(partialOf(path), bytes, { signal: op.signal });
  await replaceFile(partialOf(path), path);
  undo.move();
  return await describeImage(path);
}

const newPath = (host: Host, id: string, name: string) => dataDiskPath(host.config.imageDir, { id, name });

async function existingPath(host: Host, id: string, name: string): Promise<string | null> {
  for (const dir of host.imageDirs()) {
    const path = dataDiskPath(dir, { id, name });
    if (await statIfPresent(path)) return path;
  }
  return null;
}

async function grow(host: Host, path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const [holder] = (await (await readUses(host)).of(path)).filter(({ as }) => as === "disk");
  const domain = holder?.id ? await host.domains.refresh(holder.id) : null;
  if (!domain || !isUp(domain)) return await growImage(path, "qcow2", bytes, { signal });
  const disk = dataDiskOf(readDomain(await host.virsh.dumpXml(domain.id, { signal })));
  if (!disk) throw new AppError("conflict", `Grow ${path}: ${domain.name} is changing. Try again.`);
  await host.virsh.blockResize(domain.id, disk.target, bytes, { signal });
}

async function recover(host: Host, { diskId, name }: Input): Promise<void> {
  await removeIfPresent(partialOf(newPath(host, diskId, name)));
}

/**
 * Attaches a data disk to a machine in place of the one that it has, or (null) detaches that. Of a running machine it
 * is done live as well.
 * @throws {AppError} `conflict` when another machine has the disk, or when the guest does not let go of its own.
 */
export async function setDataDisk(
  host: Host,
  id: string,
  path: string | null,
  signal?: AbortSignal,
): Promise<Domain> {
  using _lock = await host.locks.hold(path === null ? [id] : [id, path], {
    purpose: "its data disk is being changed",
    signal,
  });
  const domain = await requireDomain(host, id);
  if (path !== null) await requireFree(host, domain, path);
  if (isUp(domain)) await changeRunning(host, domain, path, signal);
  else await changeIdle(host, domain, path);
  return await host.domains.refresh(id) ?? domain;
}

async function requireFree(host: Host, domain: Domain, path: string): Promise<void> {
  const refuse = (code: "conflict" | "invalid" | "not_found", why: string) =>
    new AppError(code, `Attach the data disk ${path} to ${domain.name}: ${why}.`);
  if (!host.imageDirs().includes(dirname(path)) || !isDataDisk(path)) {
    throw refuse("invalid", "it is not a data disk of this hypervisor");
  }
  const stat = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) throw refuse("not_found", "the file is missing. Restore it");
    throw error;
  });
  const header = stat.isFile ? await readQcow2Header(path) : null;
  if (!header || header.backingName !== null || header.externalData) {
    throw refuse("invalid", "it is not a stand-alone qcow2 image");
  }
  const others = (await (await readUses(host)).of(path)).filter((holder: Holder) => holder.id !== domain.id);
  if (others.length === 0) return;
  throw refuse("conflict", `${listNames(others.map(({ name }) => name))} has it. Detach it there first`);
}

async function changeIdle(host: Host, { id }: Domain, path: string | null): Promise<void> {
  const { xml, parsed } = await requireIdleMachine(host, id, "Change the data disk");
  if ((dataDiskOf(parsed)?.path ?? null) === path) return;
  await host.virsh.define(withDataDisk(xml, path));
}

async function changeRunning(
  host: Host,
  { id, name }: Domain,
  path: string | null,
  signal?: AbortSignal,
): Promise<void> {
  const { virsh } = host;
  const definition = await virsh.dumpXml(id, { inactive: true, securityInfo: true, signal });
  const live = await virsh.dumpXml(id, { signal });
  if ((dataDiskOf(readDomain(live))?.path ?? null) !== path) {
    const without = await unplug(host, id, name, live, signal);
    if (path !== null) await virsh.attachDevice(id, dataDiskElement(without, path), { signal });
  }
  if ((dataDiskOf(readDomain(definition))?.path ?? null) === path) return;
  await virsh.define(withDataDisk(definition, path));
}

const unplugTimeoutMs = 30_000;

/** The guest has its say: until it has let go of the disk, nothing changes. Returns the live XML without it. */
async function unplug(
  host: Host,
  id: string,
  name: string,
  live: string,
  signal?: AbortSignal,
): Promise<string> {
  const element = attachedDataDisk(live);
  if (element === null) return live;
  await flush(host, id, signal);
  await host.virsh.detachDevice(id, element, { signal });
  for (const deadline = Date.now() + unplugTimeoutMs; Date.now() < deadline;) {
    const xml = await host.virsh.dumpXml(id, { signal });
    if (!dataDiskOf(readDomain(xml))) return xml;
    await delay(250, undefined, { signal });
  }
  throw new AppError(
    "conflict",
    `Detach the data disk of ${name}: its guest does not let go of it. Close what uses the disk, or shut the ` +
      "machine down first.",
  );
}

/** What the user saved a moment ago may still be in the guest's memory. */
async function flush(host: Host, id: string, signal?: AbortSignal): Promise<void> {
  if (!host.domains.get(id)?.guestAgent) return;
  try {
    await host.virsh.flushGuest(id, { signal });
  } catch (error) {
    host.log.warn(
      { err: error, machineId: id },
      "the guest did not write its files before its data disk goes",
    );
  }
}
