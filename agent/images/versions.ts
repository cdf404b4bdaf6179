import type { Host } from "../host.ts";
import { imagePath, listOwnFiles, type Named } from "./files.ts";

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
