import type { z } from "zod";
import type { CreateMachineOperation, MachineSpec } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { copyImage } from "../images/copy_image.ts";
import {
  firstImagePath,
  partialOf,
  readOwnFile,
  readVersion,
  removeIfPresent,
  requireAbsent,
  requireSpace,
} from "../images/files.ts";
import { requireImportable, requireIso } from "../images/import_checks.ts";
import { requireQuiet } from "../images/idle_machine.ts";
import { requireImage } from "../images/known_image.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";
import { listNames, readUses } from "../images/uses.ts";
import { buildDomainXml, writeMetadata } from "../libvirt/domain_xml.ts";
import { createBlank, rebaseInPlace } from "../libvirt/qemu_img.ts";

type Input = z.output<typeof CreateMachineOperation>;

const what = (name: string) => `Create ${name}`;

/** Makes a machine: its disk first, its domain last. Whatever fails, nothing of it is left. */
export const createMachine: JobOperation<Input> = { run, recover };

async function run(host: Host, { machine, disk }: Input, op: Operation): Promise<void> {
  using _lock = await host.locks.hold([machine.id, `name:${machine.name}`], {
    purpose: "it is being created",
    by: "job",
    signal: op.signal,
  });
  await host.domains.sync();
  if (disk.kind === "domain") return await adopt(host, machine);
  requireNew(host, machine);
  if (machine.iso !== null) await requireIso(machine.iso);
  await using undo = new AsyncDisposableStack();
  const diskPath = await makeDisk(host, machine, disk, op, undo);
  op.signal.throwIfAborted();
  const imageVersion = machine.role === "initial" && diskPath !== null ? readVersion(diskPath) ?? 0 : 0;
  const spec = { ...machine, mac: machine.mac ?? pickMac(host) };
  await host.virsh.define(buildDomainXml(spec, diskPath, host.facts(), { imageVersion }));
  undo.move();
  await host.domains.refresh(machine.id);
}

/** The path of the new disk; of a vdi, the path where populate will put it. */
async function makeDisk(
  host: Host,
  machine: MachineSpec,
  disk: Exclude<Input["disk"], { kind: "domain" }>,
  op: Operation,
  undo: AsyncDisposableStack,
): Promise<string | null> {
  const path = firstImagePath(host.config.imageDir, machine);
  if (disk.kind === "none") return machine.role === "vdi" ? path : null;
  if (disk.kind === "own") return await takeOwnFile(host, machine, disk, op.signal);
  await requireAbsent(path);
  if (disk.kind === "blank") {
    op.report({ stage: "Creating the disk" });
    await requireSpace(host.config.imageDir, what(machine.name), 0);
    undo.defer(() => removeIfPresent(path));
    await createBlank(path, disk.bytes, { signal: op.signal });
    return path;
  }
  const from = await requireImportable(host, disk.path, op.signal);
  await requireQuiet(from, await readUses(host), `Import ${disk.path}`, op.signal);
  await copyImage({ from, to: path, stage: "Importing the disk" }, op, undo);
  return path;
}

/**
 * A file that was brought here for the machine. An overlay is put on its base's place on this host, which changes
 * nothing of its contents. The file is not this job's: it stays when the job fails.
 */
async function takeOwnFile(
  host: Host,
  machine: MachineSpec,
  { path, basePath }: Extract<Input["disk"], { kind: "own" }>,
  signal: AbortSignal,
): Promise<string> {
  const doing = what(machine.name);
  if (readOwnFile(host.imageDirs(), machine.id, path)?.partial !== false) {
    throw new AppError("invalid", `${doing}: ${path} is not an image of its own.`);
  }
  const image = await requireImage(host, path, doing);
  const header = await readQcow2Header(path);
  if (image.format !== "qcow2" || !header) throw new AppError("invalid", `${doing}: ${path} is not qcow2.`);
  if (basePath === null && header.backingName !== null) {
    throw new AppError("invalid", `${doing}: ${path} is an overlay. Say what it is based on here.`);
  }
  const uses = await readUses(host);
  const users = (await uses.of(path)).map(({ name }) => name);
  if (users.length > 0) throw new AppError("conflict", `${doing}: ${path} is used by ${listNames(users)}.`);
  if (basePath !== null) {
    const base = await requireImage(host, basePath, doing);
    await requireQuiet(base, uses, doing, signal);
    await rebaseInPlace(path, base, { signal });
  }
  await requireQuiet(image, uses, doing, signal);
  return path;
}

/** An existing domain becomes a machine by a note in its metadata; its disks and devices stay as they are. */
async function adopt(host: Host, machine: MachineSpec): Promise<void> {
  const domain = await host.domains.refresh(machine.id);
  if (!domain) {
    throw new AppError("not_found", `Import the domain ${machine.id}: libvirt has no such domain.`);
  }
  if (domain.managed) {
    throw new AppError("conflict", `Import ${domain.name}: it is a machine of KVM-VDI already.`);
  }
  if (!domain.persistent) {
    throw new AppError("conflict", `Import ${domain.name}: it is transient. Define it in libvirt first.`);
  }
  const { role, osType } = machine;
  const xml = await host.virsh.dumpXml(machine.id, { inactive: true, securityInfo: true });
  await host.virsh.define(writeMetadata(xml, { role, osType, owned: false, imageVersion: 0 }));
  await host.domains.refresh(machine.id);
}

function requireNew(host: Host, { id, name, mac }: MachineSpec): void {
  const sameId = host.domains.get(id);
  if (sameId) {
    throw new AppError(
      "conflict",
      `${what(name)}: libvirt has a domain with the id ${id} already, ${sameId.name}.`,
    );
  }
  if (host.domains.byName(name)) {
    throw new AppError(
      "conflict",
      `${what(name)}: libvirt has a domain of that name already. Use another name.`,
    );
  }
  const sameMac = mac !== null && host.domains.all().find((domain) => domain.mac === mac);
  if (sameMac) {
    throw new AppError("conflict", `${what(name)}: ${sameMac.name} has the MAC address ${mac} already.`);
  }
}

/** 52:54:00 is QEMU's; 16 million addresses are left to choose from. */
export function pickMac(host: Pick<Host, "domains">): string {
  const taken = new Set(host.domains.all().map((domain) => domain.mac));
  for (;;) {
    const tail = [...crypto.getRandomValues(new Uint8Array(3))].map((byte) =>
      byte.toString(16).padStart(2, "0")
    );
    const mac = `52:54:00:${tail.join(":")}`;
    if (!taken.has(mac)) return mac;
  }
}

/** Removes the disk of a machine that did not come to be. One whose domain is there was finished just in time. */
async function recover(host: Host, { machine, disk }: Input): Promise<void> {
  if (disk.kind === "own") return;
  using _lock = await host.locks.hold([machine.id], {
    purpose: "an interrupted creation is being undone",
    by: "job",
  });
  if (await host.domains.refresh(machine.id)) return;
  const path = firstImagePath(host.config.imageDir, machine);
  const uses = await readUses(host);
  for (const file of [path, partialOf(path)]) {
    if ((await uses.of(file)).length === 0) await removeIfPresent(file);
  }
}
