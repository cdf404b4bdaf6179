import { createHash, type Hash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../../contracts/errors.ts";

/** Some bytes of a file. What lies between two blocks is zero. */
export interface Block {
  offset: number;
  data: Uint8Array<ArrayBuffer>;
}

/** What is all zero in such a piece of a file is a hole in its copy. */
const zeroBytes = 64 * 1024;
const zeros = Buffer.alloc(zeroBytes);
/** The most that a block holds, and that is read at once. */
export const longestBlockBytes = 1024 * 1024;

/**
 * Reads a file but for its zeros, from `from` on, while the next bytes are on their way from the disk already. A
 * block's memory is its own.
 * @param hash gets every byte from the beginning, zeros and those before `from` too
 */
export async function* readBlocks(
  path: string,
  { from = 0, hash, signal }: { from?: number; hash?: Hash; signal?: AbortSignal } = {},
): AsyncGenerator<Block, number> {
  using file = await Deno.open(path);
  let offset = hash ? 0 : from - from % zeroBytes;
  await file.seek(offset, Deno.SeekMode.Start);
  let ahead = readPiece(file);
  try {
    for (;;) {
      const piece = await ahead;
      if (piece.length === 0) return offset;
      signal?.throwIfAborted();
      ahead = readPiece(file);
      hash?.update(piece);
      yield* withoutZeros(piece, offset, from);
      offset += piece.length;
    }
  } finally {
    // A file is not closed under a read.
    await ahead.catch(() => {});
  }
}

async function readPiece(file: Deno.FsFile): Promise<Uint8Array<ArrayBuffer>> {
  const piece = new Uint8Array(longestBlockBytes);
  let filled = 0;
  while (filled < piece.length) {
    const read = await file.read(piece.subarray(filled));
    if (read === null) break;
    filled += read;
  }
  return piece.subarray(0, filled);
}

function* withoutZeros(piece: Uint8Array<ArrayBuffer>, at: number, from: number): Generator<Block> {
  let start: number | null = null;
  const first = Math.max(0, from - at);
  for (let next = first; next < piece.length;) {
    const end = Math.min(next - next % zeroBytes + zeroBytes, piece.length);
    const isZero = zeros.subarray(0, end - next).equals(piece.subarray(next, end));
    if (!isZero) start ??= next;
    if (start !== null && (isZero || end === piece.length)) {
      yield { offset: at + start, data: piece.subarray(start, isZero ? next : end) };
      start = null;
    }
    next = end;
  }
}

/** Writes a new file from blocks in their order. What they leave out stays a hole, and counts for the checksum. */
export class SparseWriter implements Disposable {
  #position = 0;
  readonly #hash = createHash("sha256");

  private constructor(private readonly file: Deno.FsFile, private readonly path: string) {}

  /** @throws when the file is there already. */
  static async create(path: string): Promise<SparseWriter> {
    return new SparseWriter(await Deno.open(path, { createNew: true, write: true, mode: 0o644 }), path);
  }

  /** All that lies before it is in the file. */
  get position(): number {
    return this.#position;
  }

  /** @throws {AppError} `invalid` when it lies before the last one; `conflict` when the disk is full. */
  async write({ offset, data }: Block): Promise<void> {
    if (offset < this.#position) throw new AppError("invalid", "The image's blocks are out of order.");
    if (offset > this.#position) {
      await this.#skipTo(offset);
      await this.file.seek(offset, Deno.SeekMode.Start);
    }
    this.#hash.update(data);
    try {
      for (let done = 0; done < data.length;) done += await this.file.write(data.subarray(done));
    } catch (error) {
      throw translateFull(error, this.path);
    }
    this.#position = offset + data.length;
  }

  /** Ends the file at this length, once it is on the disk. @returns its SHA-256 */
  async finish(totalBytes: number): Promise<string> {
    if (totalBytes < this.#position) {
      throw new AppError("invalid", "The image is longer than it was said to be.");
    }
    await this.#skipTo(totalBytes);
    await this.file.truncate(totalBytes);
    await this.file.sync();
    return this.#hash.digest("hex");
  }

  [Symbol.dispose](): void {
    this.file.close();
  }

  async #skipTo(offset: number): Promise<void> {
    for (let left = offset - this.#position, turns = 0; left > 0; turns++) {
      const step = Math.min(left, zeroBytes);
      this.#hash.update(zeros.subarray(0, step));
      left -= step;
      // A large hole must not keep everybody else waiting.
      if (turns % 256 === 255) await nextTurn();
    }
    this.#position = offset;
  }
}

/** Reads a whole file. @returns its SHA-256 */
export async function hashFile(
  path: string,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (doneBytes: number) => void } = {},
): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for (let done = 0;;) {
    signal?.throwIfAborted();
    const piece = await readPiece(file);
    if (piece.length === 0) return hash.digest("hex");
    hash.update(piece);
    done += piece.length;
    onProgress?.(done);
  }
}

function translateFull(error: unknown, path: string): unknown {
  const { code } = error as { code?: string };
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new AppError("conflict", `Write ${path}: its disk is full. Delete machines or add storage.`, {
    cause: error,
  });
}
