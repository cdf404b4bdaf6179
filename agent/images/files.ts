import { statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { ImageTarget } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Role } from "../../contracts/machine.ts";

/** A machine as far as the names of its files go. */
export interface Named {
  id: string;
  name: string;
}

const shortId = (id: string): string => id.slice(0, 8);

/** `<name>-<first 8 of id>.qcow2`, or `<name>-<first 8 of id>.v3.qcow2` for a version of an initial's image. */
export function imagePath(imageDir: string, { id, name }: Named, version?: number): string {
  return join(imageDir, `${name}-${shortId(id)}${version === undefined ? "" : `.v${version}`}.qcow2`);
}

/** Where a new machine's image goes: images of an initial have versions. */
export const firstImagePath = (imageDir: string, machine: Named & { role: Role }): string =>
  imagePath(imageDir, machine, machine.role === "initial" ? 1 : undefined);

/** The name of every personal data disk's file, and of no other's. */
export const dataDiskName = /^.+-[0-9a-f]{8}\.data\.qcow2$/;

/** Where a personal data disk lies; never taken for a machine's own file. */
export const dataDiskPath = (imageDir: string, { id, name }: Named): string =>
  join(imageDir, `${name}-${shortId(id)}.data.qcow2`);

/** Where an image goes that comes from elsewhere. */
export function targetPath(imageDir: string, target: ImageTarget): string {
  const { name } = target;
  switch (target.kind) {
    case "version":
      return imagePath(imageDir, { id: target.initialId, name }, target.version);
    case "machine":
      return imagePath(imageDir, { id: target.machineId, name });
    case "data":
      return dataDiskPath(imageDir, { id: target.diskId, name });
  }
}

export interface OwnFile {
  path: string;
  /** Null for a file without versions. */
  version: number | null;
  partial: boolean;
}

/** Reads a file name as one of the machine's own; null when it is not. A renamed machine keeps its files. */
export function readOwnFile(
  imageDirs: string | readonly string[],
  id: string,
  path: string,
): OwnFile | null {
  if (![imageDirs].flat().some((dir) => dirname(path) === resolve(dir))) return null;
  const match = /^.+-([0-9a-f]{8})(?:\.v(\d{1,9}))?\.qcow2(\.partial)?$/.exec(basename(path));
  if (!match || match[1] !== shortId(id)) return null;
  return {
    path,
    version: match[2] === undefined ? null : Number(match[2]),
    partial: match[3] !== undefined,
  };
}

/** The version that a file's name tells; null for a file without. */
export function readVersion(path: string): number | null {
  const digits = /\.v(\d{1,9})\.qcow2$/.exec(path)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The files in the image directories that bear the machine's id, whole and partial. */
export async function listOwnFiles(imageDirs: string | readonly string[], id: string): Promise<OwnFile[]> {
  const own: OwnFile[] = [];
  for (const imageDir of [imageDirs].flat()) {
    // One that was used before may be gone.
    if (!await statIfPresent(imageDir)) continue;
    for await (const entry of Deno.readDir(imageDir)) {
      const file = entry.isFile && readOwnFile(imageDir, id, join(imageDir, entry.name));
      if (file) own.push(file);
    }
  }
  return own.sort((a, b) => (a.version ?? 0) - (b.version ?? 0));
}

export const partialOf = (path: string): string => `${path}.partial`;

/** Puts a whole file in its place: whoever looks sees the old file or the new one, also after a power failure. */
export async function replaceFile(from: string, to: string): Promise<void> {
  await sync(from);
  await Deno.rename(from, to);
  await sync(dirname(to));
}

/** Waits until a file, or the entries of a directory, are on the disk. */
export async function sync(path: string): Promise<void> {
  using file = await Deno.open(path);
  await file.sync();
}

export async function removeIfPresent(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export async function statIfPresent(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

/** Tells files apart whatever path leads to them; the path itself when there is no file. */
export async function fileKey(path: string): Promise<string> {
  const stat = await statIfPresent(path);
  return stat ? `${stat.dev}:${stat.ino}` : path;
}

/** @throws {AppError} `conflict` when a file is there already: nothing is ever overwritten. */
export async function requireAbsent(path: string): Promise<void> {
  if (await statIfPresent(path)) {
    throw new AppError("conflict", `Create ${path}: the file exists. Remove it or use another name.`);
  }
}

/** Left free for running machines, whose overlays grow. */
const reserveBytes = 256 * 2 ** 20;

/**
 * @param mostBytes what is needed at most, known at once; only when that does not fit is `measureBytes` asked
 * @throws {AppError} `conflict` when the file system of `dir` has too little space.
 */
export async function requireSpace(
  dir: string,
  what: string,
  mostBytes: number,
  measureBytes: () => Promise<number> = () => Promise.resolve(mostBytes),
): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const freeBytes = bavail * bsize;
  // A full qcow2 image is a little larger than its contents.
  if (freeBytes >= mostBytes * 1.01 + reserveBytes) return;
  const neededBytes = await measureBytes();
  if (freeBytes >= neededBytes + reserveBytes) return;
  throw new AppError(
    "conflict",
    `${what}: it needs ${gigabytes(neededBytes)} and ${gigabytes(reserveBytes)} in reserve, ` +
      `but ${dir} has ${gigabytes(freeBytes)} free. Delete machines or add storage.`,
  );
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
