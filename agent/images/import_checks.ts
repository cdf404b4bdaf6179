import { dirname } from "node:path";
import { AppError, type ErrorCode } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { ImageFormat, type ImageInfo, readImageInfo } from "../libvirt/qemu_img.ts";
import { statIfPresent } from "./files.ts";
import { readQcow2Header } from "./qcow2_header.ts";

export interface ImportSource {
  path: string;
  format: ImageFormat;
  virtualBytes: number;
}

/**
 * Checks an image that comes from anywhere. A crafted image can name other files of the host as its contents; such
 * files would be copied into a machine, where its user reads them.
 * @throws {AppError} `not_found`; `invalid` when it is not a disk image of one file (or one based on our own images).
 */
export async function requireImportable(
  host: Host,
  path: string,
  signal?: AbortSignal,
): Promise<ImportSource> {
  const real = await requireFile(path);
  if ((await readQcow2Header(real).catch(damaged(path)))?.externalData) {
    throw refused(path, "its contents are in another file, which is not supported");
  }
  const info = await readImageInfo(real, { signal });
  const format = ImageFormat.safeParse(info.format);
  if (!format.success) {
    throw refused(path, `its format is ${info.format}. Use qcow2, raw, VMDK, VDI or VHDX`);
  }
  if (format.data === "raw" && (info.virtualBytes < 2 ** 20 || await isIso(real))) {
    throw refused(path, "it is not a disk image");
  }
  if (info.encrypted) throw refused(path, "it is encrypted");
  await requireOwnContents(host, real, info, path);
  return { path: real, format: format.data, virtualBytes: info.virtualBytes };
}

async function requireOwnContents(host: Host, real: string, info: ImageInfo, path: string): Promise<void> {
  for (const name of info.contentFiles) {
    const content = await realPathIfPresent(name);
    if (content === null || dirname(content) !== dirname(real)) {
      throw refused(path, `its contents are in another file, ${name}`);
    }
  }
  let backingName = info.backingName;
  for (let depth = 0; backingName !== null; depth++) {
    const backing = await realPathIfPresent(backingName);
    const imageDir = await Deno.realPath(host.config.imageDir);
    if (backing === null || dirname(backing) !== imageDir || depth > 16) {
      throw refused(
        path,
        `it is based on ${backingName}, which is not in ${imageDir}. Flatten it first: qemu-img convert -O qcow2`,
      );
    }
    const header = await readQcow2Header(backing);
    if (header?.externalData) {
      throw refused(path, `it is based on ${backing}, whose contents are in another file`);
    }
    backingName = header?.backingName == null ? null : header.backingPath ?? header.backingName;
  }
}

/**
 * An ISO image that a machine may read: any other file of the host, such as another machine's disk, is not.
 * @throws {AppError} `invalid` when there is no such file or it is anything else.
 */
export async function requireIso(path: string): Promise<void> {
  const stat = await statIfPresent(path);
  if (!stat?.isFile) {
    throw new AppError("invalid", `Use the ISO image ${path}: the hypervisor has no such file.`);
  }
  if (!await isIso(path)) {
    throw new AppError("invalid", `Use the ISO image ${path}: it is not an ISO 9660 or UDF image.`);
  }
}

/** Whether the volume descriptors of ECMA-119 or ECMA-167 begin at the 16th sector. */
export async function isIso(path: string): Promise<boolean> {
  using file = await Deno.open(path);
  await file.seek(0x8001, Deno.SeekMode.Start);
  const label = new Uint8Array(5);
  await file.read(label);
  return ["CD001", "BEA01"].includes(new TextDecoder("latin1").decode(label));
}

async function requireFile(path: string): Promise<string> {
  const real = await realPathIfPresent(path);
  if (real === null) throw refused(path, "there is no such file on the hypervisor", "not_found");
  if (!(await Deno.stat(real)).isFile) throw refused(path, "it is not a file");
  return real;
}

async function realPathIfPresent(path: string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

const refused = (path: string, why: string, code: ErrorCode = "invalid") =>
  new AppError(code, `Import ${path}: ${why}.`);

const damaged = (path: string) => (cause: unknown): never => {
  throw cause instanceof RangeError
    ? new AppError("invalid", `Import ${path}: its header is damaged.`, { cause })
    : cause;
};
