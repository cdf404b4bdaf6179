import type { z } from "zod";
import type { Domain, ResizeDiskOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { firstDisk, requireIdleMachine, requireQuiet } from "../images/idle_machine.ts";
import { listNames, readUses } from "../images/uses.ts";
import { readVirtualBytes } from "../images/virtual_size.ts";
import { readDomain } from "../libvirt/domain_xml.ts";
import { growImage } from "../libvirt/qemu_img.ts";
import { isUp, requireDomain } from "./start_machine.ts";

type Input = z.output<typeof ResizeDiskOperation>;

const what = "Resize the disk";

/** Grows a machine's first disk, of a running machine under its guest's eyes. Nothing else of it changes. */
export const resizeDisk: JobOperation<Input> = {
  run,
  // Growing is one step of QEMU's: it has happened or not.
  recover: () => Promise.resolve(),
};

async function run(host: Host, { machineId, bytes }: Input, op: Operation): Promise<void> {
  using _lock = await host.locks.hold([machineId], {
    purpose: "its disk is being resized",
    by: "job",
    signal: op.signal,
  });
  op.report({ stage: "Resizing the disk" });
  const domain = await requireDomain(host, machineId);
  if (domain.role === "vdi") {
    throw new AppError(
      "invalid",
      `${what} of ${domain.name}: its disk is made anew at populate. Resize the source and publish a new version.`,
    );
  }
  if (isUp(domain)) await growRunning(host, domain, bytes, op.signal);
  else await growIdle(host, domain, bytes, op.signal);
  await host.domains.refresh(machineId);
}

async function growIdle(host: Host, { id, name }: Domain, bytes: number, signal: AbortSignal): Promise<void> {
  const { disk } = await requireIdleMachine(host, id, what);
  const image = await requireGrowable(host, id, name, disk, bytes);
  if (image.virtualBytes === bytes) return;
  await requireQuiet(image, await readUses(host), what, signal);
  await growImage(image.path, image.format, bytes, { signal });
}

async function growRunning(host: Host, domain: Domain, bytes: number, signal: AbortSignal): Promise<void> {
  const { id, name } = domain;
  if (domain.virtualSnapshot) {
    throw new AppError(
      "conflict",
      `${what} of ${name}: it runs with a virtual snapshot, which would lose it. Shut the machine down first.`,
    );
  }
  const disk = firstDisk(readDomain(await host.virsh.dumpXml(id, { signal })));
  const image = await requireGrowable(host, id, name, disk, bytes);
  if (image.virtualBytes < bytes) await host.virsh.blockResize(id, image.target, bytes, { signal });
}

/** @throws {AppError} `invalid` or `conflict` when the disk is not the machine's alone, or is larger already. */
async function requireGrowable(
  host: Host,
  id: string,
  name: string,
  disk: ReturnType<typeof firstDisk>,
  bytes: number,
) {
  if (!disk) throw new AppError("conflict", `${what} of ${name}: it has no disk image.`);
  const format = disk.format ?? "raw";
  if (format !== "qcow2" && format !== "raw") {
    throw new AppError("conflict", `${what} of ${name}: images of format ${format} cannot be resized.`);
  }
  const others = (await (await readUses(host)).of(disk.path)).filter((holder) => holder.id !== id);
  if (others.length > 0) {
    throw new AppError(
      "conflict",
      `${what} of ${name}: its image is in use by ${listNames(others.map((other) => other.name))}. ` +
        "Resize the source and publish a new version.",
    );
  }
  if (((await Deno.stat(disk.path)).mode ?? 0o600) & 0o222) {
    const virtualBytes = await readVirtualBytes(disk.path, format);
    if (virtualBytes <= bytes) return { path: disk.path, target: disk.target, format, virtualBytes };
    throw new AppError(
      "invalid",
      `${what} of ${name}: it has ${virtualBytes} bytes already, and a disk never shrinks.`,
    );
  }
  throw new AppError(
    "conflict",
    `${what} of ${name}: its image is sealed. Resize the source and publish a new version.`,
  );
}
