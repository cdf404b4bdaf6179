import { basename, join } from "node:path";
import type { ImageFile } from "../../contracts/hypervisor.ts";
import type { Host } from "../host.ts";
import { readImageInfo } from "../libvirt/qemu_img.ts";
import { dataDiskName } from "./files.ts";
import { isIso } from "./import_checks.ts";
import { readQcow2Header } from "./qcow2_header.ts";

const diskSuffix = /\.(qcow2|raw|img|vmdk|vdi|vhdx)$/i;

/**
 * The files that new machines can use: ISO images to install from, and disk images to import. Overlays, personal data
 * disks, and files that are still being written, are left out.
 */
export async function listImageFiles(host: Host): Promise<ImageFile[]> {
  const { imageDir, isoDir } = host.config;
  const files: ImageFile[] = [];
  for (const dir of new Set([isoDir, imageDir])) {
    for await (const entry of Deno.readDir(dir)) {
      const file = await describeFile(join(dir, entry.name)).catch((error) => {
        host.log.warn({ err: error, path: join(dir, entry.name) }, "an image file cannot be read");
        return null;
      });
      if (file) files.push(file);
    }
  }
  return files.sort((a, b) => a.name.localeCompare(b.name));
}

async function describeFile(path: string): Promise<ImageFile | null> {
  const isDisk = diskSuffix.test(path) && !dataDiskName.test(basename(path));
  if (!isDisk && !/\.iso$/i.test(path)) return null;
  const stat = await Deno.stat(path);
  if (!stat.isFile) return null;
  const name = basename(path);
  if (await isIso(path)) {
    return { path, name, kind: "iso", format: "raw", bytes: stat.size, virtualBytes: stat.size };
  }
  if (!isDisk) return null;
  const bytes = (stat.blocks ?? 0) * 512;
  const header = await readQcow2Header(path);
  if (header) {
    if (header.backingName !== null || header.externalData) return null;
    return { path, name, kind: "disk", format: "qcow2", bytes, virtualBytes: header.virtualBytes };
  }
  const info = await readImageInfo(path);
  return { path, name, kind: "disk", format: info.format, bytes, virtualBytes: info.virtualBytes };
}
