import { dirname, resolve } from "node:path";

/** What the header of a qcow2 file says (https://www.qemu.org/docs/master/interop/qcow2.html). */
export interface Qcow2Header {
  virtualBytes: number;
  /** Absolute; null without a backing file, and for one that is not a plain file. */
  backingPath: string | null;
  /** As the header has it, such as a relative path or `json:...`. */
  backingName: string | null;
  backingFormat: string | null;
  /** The contents are in another file. */
  externalData: boolean;
}

const magic = 0x514649fb;
const backingFormatExtension = 0xe2792aca;
const externalDataFeature = 1n << 2n;
const longestName = 1023;

/**
 * Reads a header without starting a process: 0.1 ms instead of 5.
 * @returns null when the file is not qcow2.
 * @throws {Deno.errors.NotFound}, and {RangeError} when the header is damaged.
 */
export async function readQcow2Header(path: string): Promise<Qcow2Header | null> {
  using file = await Deno.open(path);
  const start = await readAt(file, 0, 4096);
  if (start.byteLength < 72 || start.getUint32(0) !== magic) return null;
  const version = start.getUint32(4);
  const headerLength = version >= 3 ? start.getUint32(100) : 72;
  const backingName = await readBackingName(file, start);
  return {
    virtualBytes: Number(start.getBigUint64(24)),
    backingName,
    backingPath: backingName === null ? null : resolveBackingName(path, backingName),
    backingFormat: readBackingFormat(start, headerLength),
    externalData: version >= 3 && (start.getBigUint64(72) & externalDataFeature) !== 0n,
  };
}

async function readBackingName(file: Deno.FsFile, start: DataView): Promise<string | null> {
  const offset = Number(start.getBigUint64(8));
  const length = start.getUint32(16);
  if (offset === 0) return null;
  if (length > longestName || offset > 2 ** 21) throw new RangeError("The qcow2 header is damaged.");
  const name = await readAt(file, offset, length);
  return new TextDecoder().decode(name);
}

/** QEMU takes a name with a colon before the first slash for a protocol. */
function resolveBackingName(path: string, name: string): string | null {
  return /^[^/]*:/.test(name) ? null : resolve(dirname(path), name);
}

/** Header extensions: type, length, contents padded to 8 bytes; type 0 ends them. */
function readBackingFormat(start: DataView, headerLength: number): string | null {
  for (let at = headerLength; at + 8 <= start.byteLength;) {
    const type = start.getUint32(at);
    const length = start.getUint32(at + 4);
    if (type === 0 || at + 8 + length > start.byteLength) return null;
    if (type === backingFormatExtension) {
      return new TextDecoder().decode(new Uint8Array(start.buffer, start.byteOffset + at + 8, length));
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return null;
}

async function readAt(file: Deno.FsFile, offset: number, length: number): Promise<DataView> {
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const read = await file.read(bytes.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return new DataView(bytes.buffer, 0, filled);
}
