import { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import { ProcessError, run, type RunOptions } from "../../lib/process.ts";

/** Image formats that are taken as input. Others (`ssh`, `nbd`, `vvfat`, ...) reach beyond the one file. */
export const ImageFormat = z.enum(["qcow2", "raw", "vmdk", "vdi", "vhdx"]);
export type ImageFormat = z.infer<typeof ImageFormat>;

export interface ImageInfo {
  format: string;
  virtualBytes: number;
  allocatedBytes: number;
  /** As the image names it: a path, relative to the image or absolute, or a URL of QEMU's. */
  backingName: string | null;
  backingFormat: string | null;
  /** Other files that hold the image's contents: qcow2's external data file, VMDK's extents. */
  contentFiles: string[];
  encrypted: boolean;
}

const infoTimeoutMs = 30_000;

/**
 * Reads an image's header, also while a machine uses it. The format is detected unless it is given: give it for an
 * image whose contents a guest controls.
 * @throws {AppError} `hypervisor_failed` when the file cannot be read as an image.
 */
export async function readImageInfo(
  path: string,
  { format, signal }: { format?: string; signal?: AbortSignal } = {},
): Promise<ImageInfo> {
  const formatArgs = format ? ["-f", format] : [];
  const { stdout } = await qemuImg(["info", "-U", "--output=json", ...formatArgs, path], `read ${path}`, {
    signal,
    timeoutMs: infoTimeoutMs,
  });
  const info = InfoOutput.parse(JSON.parse(stdout));
  const specific = info["format-specific"]?.data;
  const extents = specific?.extents?.map((extent) => extent.filename) ?? [];
  return {
    format: info.format,
    virtualBytes: info["virtual-size"],
    allocatedBytes: info["actual-size"] ?? 0,
    backingName: info["full-backing-filename"] ?? info["backing-filename"] ?? null,
    backingFormat: info["backing-filename-format"] ?? null,
    contentFiles: [...extents, ...(specific?.["data-file"] ? [specific["data-file"]] : [])],
    encrypted: info.encrypted ?? false,
  };
}

const InfoOutput = z.object({
  "format": z.string(),
  "virtual-size": z.number(),
  "actual-size": z.number().optional(),
  "backing-filename": z.string().optional(),
  "full-backing-filename": z.string().optional(),
  "backing-filename-format": z.string().optional(),
  "encrypted": z.boolean().optional(),
  "format-specific": z.object({
    data: z.object({
      "data-file": z.string().optional(),
      "extents": z.array(z.object({ filename: z.string() })).optional(),
    }).optional(),
  }).optional(),
});

/** Whether a process, such as a running machine, has the image open for writing: asked of QEMU's image locks. */
export async function isHeldForWriting(
  path: string,
  format: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<boolean> {
  try {
    const args = ["info", "--output=json", "-f", format, path];
    await qemuImg(args, `read ${path}`, { signal, timeoutMs: infoTimeoutMs });
    return false;
  } catch (error) {
    const said = error instanceof AppError && error.cause instanceof ProcessError && error.cause.stderr;
    if (said && /Failed to get (shared )?"?\w+"? lock/i.test(said)) return true;
    throw error;
  }
}

/** Makes a qcow2 image whose contents are those of `base` until it is written to. Takes 5 to 30 ms. */
export async function createOverlay(
  path: string,
  base: { path: string; format: string },
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  const args = ["create", "-q", "-f", "qcow2", "-F", base.format, "-b", base.path, path];
  await qemuImg(args, `create ${path} on ${base.path}`, { signal });
}

/** Makes an empty qcow2 image; it takes no space until it is written to. */
export async function createBlank(
  path: string,
  virtualBytes: number,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  await qemuImg(["create", "-q", "-f", "qcow2", path, String(virtualBytes)], `create ${path}`, { signal });
}

/** Grows an image that nothing uses; QEMU's locks see to that. */
export async function growImage(
  path: string,
  format: string,
  virtualBytes: number,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  await qemuImg(["resize", "-q", "-f", format, path, String(virtualBytes)], `resize ${path}`, { signal });
}

/** Writes another base into an overlay's header. The base must have the same contents as the one before. */
export async function rebaseInPlace(
  path: string,
  base: { path: string; format: string },
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  const args = ["rebase", "-u", "-f", "qcow2", "-F", base.format, "-b", base.path, path];
  await qemuImg(args, `put ${path} on ${base.path}`, { signal });
}

/** The bytes that a qcow2 copy of an image (its whole chain) takes on disk, at most. */
export async function measureCopyBytes(
  path: string,
  format: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<number> {
  const args = ["measure", "-U", "--output=json", "-f", format, "-O", "qcow2", path];
  const { stdout } = await qemuImg(args, `measure ${path}`, { signal, timeoutMs: 300_000 });
  return z.object({ required: z.number() }).parse(JSON.parse(stdout)).required;
}

export interface ConvertOptions {
  signal?: AbortSignal;
  /** Called with 0 to 1, of the virtual size. */
  onProgress?: (fraction: number) => void;
}

/**
 * Copies an image with all that lies below it into one qcow2 file; what is sparse stays sparse. QEMU's locks keep
 * machines from writing to `from` meanwhile. A cancelled or failed copy leaves half of `to`: the caller removes it.
 */
export async function convert(
  from: { path: string; format: string },
  to: string,
  { signal, onProgress }: ConvertOptions = {},
): Promise<void> {
  // -W with 16 requests in flight is three times as fast as QEMU's defaults.
  const args = ["convert", "-p", "-W", "-m", "16", "-f", from.format, "-O", "qcow2", from.path, to];
  const onStdout = onProgress && progressReader(onProgress);
  await qemuImg(args, `copy ${from.path} to ${to}`, { signal, onStdout, diesWithParent: true });
}

/** Reads `    (12.34/100%)\r`, in pieces that may end anywhere. */
export function progressReader(onProgress: (fraction: number) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const pieces = (rest + text).split(/[\r\n]/);
    rest = pieces.pop() ?? "";
    const percent = pieces.map((piece) => /\((\d+(?:\.\d+)?)\/100%\)/.exec(piece)?.[1]).findLast(Boolean);
    if (percent !== undefined) onProgress(Math.min(Number(percent) / 100, 1));
  };
}

async function qemuImg(args: string[], what: string, options: RunOptions) {
  try {
    return await run(["qemu-img", ...args], options);
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof ProcessError)) throw error;
    const why = error.stderr.replaceAll("qemu-img: ", "").trim().split("\n").slice(0, 3).join(": ");
    throw new AppError("hypervisor_failed", `Could not ${what}: ${why || error.message}`, { cause: error });
  }
}
