/**
 * A file on its way from one host to another. A frame is a kind (1 byte), an offset (8) and a length (4, big endian),
 * then that many bytes: of the file (kind 1), or its SHA-256 (kind 2), which ends the file, whose length the offset is
 * then. What is not sent is zero.
 */
import { createHash } from "node:crypto";
import { AppError } from "../../contracts/errors.ts";
import { type Block, longestBlockBytes, readBlocks } from "./blocks.ts";
import { ByteReader } from "./byte_reader.ts";

const headerBytes = 13;
const kinds = { block: 1, end: 2 } as const;

export type Frame =
  | { kind: "block"; block: Block }
  | { kind: "end"; totalBytes: number; sha256: string };

export interface FrameSource {
  path: string;
  /** Bytes of the file that the other side has already. */
  from: number;
}

/** The frames of a file as bytes. `onProgress` is told how far in the file they are. */
export async function* sendFrames(
  { path, from }: FrameSource,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (offset: number) => void } = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const hash = createHash("sha256");
  const blocks = readBlocks(path, { from, hash, signal });
  let next = await blocks.next();
  try {
    for (; !next.done; next = await blocks.next()) {
      const { offset, data } = next.value;
      yield headerOf(kinds.block, offset, data.length);
      yield data;
      onProgress?.(offset + data.length);
    }
  } finally {
    if (!next.done) await blocks.return(0);
  }
  const sha256 = hash.digest();
  const end = new Uint8Array(headerBytes + sha256.length);
  end.set(headerOf(kinds.end, next.value, sha256.length));
  end.set(sha256, headerBytes);
  yield end;
}

function headerOf(kind: number, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const header = new DataView(new ArrayBuffer(headerBytes));
  header.setUint8(0, kind);
  header.setBigUint64(1, BigInt(offset));
  header.setUint32(9, length);
  return new Uint8Array(header.buffer);
}

/**
 * Reads frames until the one that ends the file.
 * @throws {AppError} `unavailable` when the bytes end before it; `invalid` when they are not frames.
 */
export async function* receiveFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const reader = new ByteReader(bytes);
  for (;;) {
    const header = await reader.read(headerBytes);
    if (!header) throw broken();
    const view = new DataView(header.buffer);
    const [kind, offset, length] = [view.getUint8(0), Number(view.getBigUint64(1)), view.getUint32(9)];
    const known = kind === kinds.block ? length > 0 && length <= longestBlockBytes : kind === kinds.end;
    if (!known || !Number.isSafeInteger(offset)) {
      throw new AppError("invalid", "The bytes are not an image on its way.");
    }
    const data = await reader.read(kind === kinds.end ? 32 : length);
    if (!data) throw broken();
    if (kind === kinds.block) {
      yield { kind: "block", block: { offset, data } };
      continue;
    }
    return yield { kind: "end", totalBytes: offset, sha256: data.toHex() };
  }
}

const broken = () => new AppError("unavailable", "The connection ended before the image was whole.");
