import type { z } from "zod";
import type { CopyDiskOperation, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { copyImage } from "../images/copy_image.ts";
import { imagePath, listOwnFiles, removeIfPresent, requireAbsent } from "../images/files.ts";
import { describeImage } from "../images/image_result.ts";
import { type IdleMachine, requireIdleMachine, requireQuiet } from "../images/idle_machine.ts";
import { readUses } from "../images/uses.ts";
import { readVirtualBytes } from "../images/virtual_size.ts";
import { nextVersion } from "../images/versions.ts";
import { type MachineMetadata, setDisk, writeMetadata } from "../libvirt/domain_xml.ts";

type Input = z.output<typeof CopyDiskOperation>;

const what = "Copy the disk";

/**
 * Copies the first disk of one machine to a new version of an initial's image, then switches the initial to it.
 * Until then nothing of the initial changes; its clones stay on the version that they were populated from. Old versions
 * stay: only the dashboard knows who may still need them.
 */
export const copyDisk: JobOperation<Input> = { run, recover };

async function run(
  host: Host,
  { fromId, toId, version: asked }: Input,
  op: Operation,
): Promise<ImageResult> {
  if (fromId === toId) throw new AppError("invalid", `${what}: source and target are the same machine.`);
  using _lock = await host.locks.hold([fromId, toId], {
    purpose: "its disk is being copied",
    by: "job",
    signal: op.signal,
  });
  await using undo = new AsyncDisposableStack();
  const listing = host.virsh.listBusy({ signal: op.signal });
  const [target, image, uses] = await Promise.all([
    requireTarget(host, toId, listing),
    requireSource(host, fromId, listing),
    readUses(host),
  ]);
  await requireQuiet(image, uses, what, op.signal);
  const from = { ...image, virtualBytes: await readVirtualBytes(image.path, image.format) };
  const { version, path } = asked === undefined
    ? await nextVersion(host, target.domain, target.metadata.imageVersion)
    : { version: asked, path: imagePath(host.config.imageDir, target.domain, asked) };
  await requireAbsent(path);
  await copyImage({ from, to: path, stage: "Copying the disk" }, op, undo);
  const metadata = { ...target.metadata, owned: true, imageVersion: version };
  await host.virsh.define(writeMetadata(setDisk(target.xml, target.disk?.target ?? null, path), metadata));
  undo.move();
  await host.domains.refresh(toId);
  return await describeImage(path, { version });
}

type BusyIds = Promise<ReadonlySet<string>>;

async function requireTarget(
  host: Host,
  id: string,
  busyIds: BusyIds,
): Promise<IdleMachine & { metadata: MachineMetadata }> {
  const target = await requireIdleMachine(host, id, what, busyIds);
  const metadata = target.parsed.machine;
  if (metadata?.role !== "initial") {
    throw new AppError("invalid", `${what} to ${target.domain.name}: it is not an initial machine.`);
  }
  return { ...target, metadata };
}

async function requireSource(
  host: Host,
  id: string,
  busyIds: BusyIds,
): Promise<{ path: string; format: string }> {
  const { domain, disk } = await requireIdleMachine(host, id, what, busyIds);
  if (!disk) throw new AppError("conflict", `${what} of ${domain.name}: it has no disk image.`);
  return { path: disk.path, format: disk.format ?? "raw" };
}

/**
 * Removes the half copy, and a whole one that the initial had not been switched to, where the job was told its number:
 * an unused version may as well be one to go back to.
 */
async function recover(host: Host, { toId, version }: Input): Promise<void> {
  using _lock = await host.locks.hold([toId], { purpose: "an interrupted copy is being removed", by: "job" });
  await host.domains.refresh(toId);
  const uses = await readUses(host);
  for (const file of await listOwnFiles(host.imageDirs(), toId)) {
    const abandoned = file.version === version && (await uses.of(file.path)).length === 0;
    if (file.partial || abandoned) await removeIfPresent(file.path);
  }
}
