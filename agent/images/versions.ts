import type { Host } from "../host.ts";
import { imagePath, listOwnFiles, type Named, removeIfPresent } from "./files.ts";
import { readUses } from "./uses.ts";

/** A file name that no version of the machine's image has, nor had while its files are kept. */
export async function nextVersion(
  host: Host,
  machine: Named,
  currentVersion: number,
): Promise<{ version: number; path: string }> {
  const { imageDir } = host.config;
  const taken = (await listOwnFiles(host.imageDirs(), machine.id)).map((file) => file.version ?? 0);
  const version = Math.max(currentVersion, ...taken) + 1;
  return { version, path: imagePath(imageDir, machine, version) };
}

/**
 * Removes the versions of an initial's image that nothing uses any more. The current one stays, and so does the one
 * before it, as the way back. What cannot be removed is logged, and tried again the next time.
 */
export async function removeOldVersions(host: Host, initialId: string, currentPath: string): Promise<void> {
  try {
    const versions = (await listOwnFiles(host.imageDirs(), initialId))
      .filter((file) => file.version !== null && !file.partial);
    const current = versions.findIndex((file) => file.path === currentPath);
    const candidates = versions.slice(0, Math.max(current - 1, 0));
    if (candidates.length === 0) return;
    const uses = await readUses(host);
    for (const { path } of candidates) {
      if ((await uses.of(path)).length > 0) continue;
      await removeIfPresent(path);
      host.log.info({ path }, "removed an old version of an image");
    }
  } catch (error) {
    host.log.warn({ err: error, machineId: initialId }, "old versions of an image could not be removed");
  }
}
