import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { removeIfPresent, statIfPresent } from "../images/files.ts";
import { readDomain, withScratch } from "../libvirt/domain_xml.ts";
import { createOverlay } from "../libvirt/qemu_img.ts";

const suffix = ".scratch.qcow2";

/** Where a machine writes to while it runs with a virtual snapshot. */
export const scratchPath = (host: Host, id: string): string => join(host.config.scratchDir, `${id}${suffix}`);

/** There, or where a machine that has run since the directory was changed writes to. */
const scratchPaths = (host: Host, id: string): string[] =>
  host.scratchDirs().map((dir) => join(dir, `${id}${suffix}`));

export async function hasScratch(host: Host, id: string): Promise<boolean> {
  const found = await Promise.all(scratchPaths(host, id).map(statIfPresent));
  return found.some((file) => file !== null);
}

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

export async function dropScratch(host: Host, id: string): Promise<void> {
  for (const path of scratchPaths(host, id)) await removeIfPresent(path);
}

/** Removes the scratch files that no running machine writes to, left by an agent that was killed. */
export async function sweepScratch(host: Host): Promise<void> {
  for (const dir of host.scratchDirs()) {
    // One that was used before may be gone.
    if (!await statIfPresent(dir)) continue;
    for await (const { name } of Deno.readDir(dir)) {
      if (!name.endsWith(suffix)) continue;
      const id = name.slice(0, -suffix.length);
      using _lock = await host.locks.hold([id], { purpose: "its scratch files are being removed" });
      if (host.domains.get(id)?.virtualSnapshot) continue;
      await removeIfPresent(join(dir, name));
      host.log.info({ machineId: id }, "removed a stray scratch file");
    }
  }
}
