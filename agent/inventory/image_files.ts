import { join } from "node:path";
import type { ImageFile } from "../../contracts/hypervisor.ts";
import type { AgentConfig } from "../config.ts";
import { readImageHeader } from "./image_header.ts";

const extensions = /\.(iso|img|qcow2|raw)$/i;

/** The files in the ISO and image directories that a new machine can use, by name. */
export async function listImageFiles(
  { isoDir, imageDir }: Pick<AgentConfig, "isoDir" | "imageDir">,
): Promise<ImageFile[]> {
  const files = (await Promise.all([...new Set([isoDir, imageDir])].map(listDirectory))).flat();
  return files.sort((a, b) => a.name.localeCompare(b.name));
}

async function listDirectory(directory: string): Promise<ImageFile[]> {
  const files: ImageFile[] = [];
  for await (const { name, isFile, isSymlink } of Deno.readDir(directory)) {
    if (!(isFile || isSymlink) || !extensions.test(name)) continue;
    const file = await describe(join(directory, name), name);
    if (file) files.push(file);
  }
  return files;
}

async function describe(path: string, name: string): Promise<ImageFile | null> {
  const header = await readImageHeader(path);
  if (!header) return null;
  const { format, virtualBytes } = header;
  const { size } = await Deno.stat(path);
  return { path, name, kind: format === "iso" ? "iso" : "disk", format, bytes: size, virtualBytes };
}
