import { basename, dirname, join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";

/** Everywhere the agent keeps files: now, and those of images and scratch files that were used before. */
export const directoriesOf = (host: Host): string[] => [
  ...new Set([...host.imageDirs(), host.config.isoDir, ...host.scratchDirs()]),
];

/**
 * Makes sure that a path names an entry of one of the agent's directories itself, whatever links lead there.
 * @returns its real path; the entry itself may still be a link
 * @throws {AppError} `invalid`; `not_found` when its directory does not exist.
 */
export async function requireOwnEntry(host: Host, path: string, what: string): Promise<string> {
  const directory = await realPath(dirname(path));
  const own = await Promise.all(directoriesOf(host).map((dir) => realPath(dir)));
  if (directory === null || !own.includes(directory) || basename(path) === "" || basename(path) === "..") {
    throw new AppError("invalid", `${what} ${path}: it is not in one of the agent's directories.`);
  }
  return join(directory, basename(path));
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}
