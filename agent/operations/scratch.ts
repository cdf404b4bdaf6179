import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { removeIfPresent, statIfPresent } from "../images/files.ts";
import { readDomain, withScratch } from "../libvirt/domain_xml.ts";
import { createOverlay } from "../libvirt/qemu_img.ts";

const suffix = ".scratch.qcow2";

/** Where a machine writes to while it runs with a virtual snapshot. */
export const scratchPath = (host: Host, id: string): string => join(host.config.scratchDir, `${id}${suffix}`);

export const hasScratch = async (host: Host, id: string): Promise<boolean> =>
  await statIfPresent(scratchPath(host, id)) !== null;

/**
 * Starts a machine on an empty scratch overlay of its first disk; its definition stays as it is. QEMU ends at a
 * guest's reboot, so that the scratch can be dropped there too.
 */
export async function startOnScratch(
  host: Host,
  id: string,
  definitionXml: string,
  signal?: AbortSignal,
): Promise<void> {
  const disk = readDomain(definitionXml).disks.find(({ device }) => device === "disk");
  if (!disk?.path) throw new AppError("conflict", "Start with a virtual snapshot: the machine has no disk.");
  const path = scratchPath(host, id);
  await removeIfPresent(path);
  try {
    await createOverlay(path, { path: disk.path, format: disk.format ?? "raw" }, { signal });
    await host.virsh.create(withScratch(definitionXml, path, disk.target), { signal });
  } catch (error) {
    await removeIfPresent(path);
    throw error;
  }
}

export const dropScratch = (host: Host, id: string): Promise<void> => removeIfPresent(scratchPath(host, id));

/** Removes the scratch files that no running machine writes to, left by an agent that was killed. */
export async function sweepScratch(host: Host): Promise<void> {
  for await (const { name } of Deno.readDir(host.config.scratchDir)) {
    if (!name.endsWith(suffix)) continue;
    const id = name.slice(0, -suffix.length);
    using _lock = await host.locks.hold([id], { purpose: "its scratch files are being removed" });
    if (host.domains.get(id)?.virtualSnapshot) continue;
    await removeIfPresent(join(host.config.scratchDir, name));
    host.log.info({ machineId: id }, "removed a stray scratch file");
  }
}
