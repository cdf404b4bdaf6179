import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Block, hashFile, readBlocks, SparseWriter } from "./blocks.ts";
import { type Frame, receiveFrames, sendFrames } from "./frames.ts";

const KiB = 1024;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const noise = (length: number) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, length)));
  }
  return bytes;
};

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Data, a hole of 3 MiB, zeros that are written, data that ends in no block's end, and a hole at the end. */
async function makeSparseFile(folder: string): Promise<{ path: string; contents: Uint8Array }> {
  const contents = new Uint8Array(6 * 1024 * KiB + 12_345);
  contents.set(noise(1500 * KiB));
  contents.set(noise(700 * KiB + 77), 4600 * KiB + 13);
  const path = join(folder, "sparse");
  using file = await Deno.open(path, { create: true, write: true });
  await file.write(contents.subarray(0, 1500 * KiB));
  await file.seek(4000 * KiB, Deno.SeekMode.Start);
  await file.write(contents.subarray(4000 * KiB, 5400 * KiB));
  await file.truncate(contents.length);
  return { path, contents };
}

Deno.test("readBlocks() gives everything but the zeros, from anywhere, and hashes all of it", () =>
  inFolder(async (folder) => {
    const { path, contents } = await makeSparseFile(folder);
    for (const from of [0, 1, 65_536, 1500 * KiB + 1, 4_800_001, contents.length]) {
      const hash = createHash("sha256");
      const seen = new Uint8Array(contents.length);
      let sentBytes = 0;
      for await (const { offset, data } of readBlocks(path, { from, hash })) {
        assert.ok(offset >= from);
        seen.set(data, offset);
        sentBytes += data.length;
      }
      assert.deepEqual(seen.subarray(from), contents.subarray(from));
      assert.equal(hash.digest("hex"), sha256(contents));
      assert.ok(sentBytes < 2400 * KiB, `${sentBytes} bytes of 2200 KiB`);
    }
    assert.equal(await hashFile(path), sha256(contents));
  }));

async function write(path: string, blocks: AsyncIterable<Block>, totalBytes: number): Promise<string> {
  using writer = await SparseWriter.create(path);
  for await (const block of blocks) await writer.write(block);
  return await writer.finish(totalBytes);
}

Deno.test("SparseWriter makes the same file with its holes and tells its checksum", () =>
  inFolder(async (folder) => {
    const { path, contents } = await makeSparseFile(folder);
    const copy = join(folder, "copy");
    assert.equal(await write(copy, readBlocks(path), contents.length), sha256(contents));
    assert.deepEqual(await Deno.readFile(copy), contents);
    assert.ok((await Deno.stat(copy)).blocks! * 512 < 2500 * KiB, "holes stay holes");
    await assert.rejects(SparseWriter.create(copy), Deno.errors.AlreadyExists);
  }));

Deno.test("SparseWriter refuses what lies before the last block", () =>
  inFolder(async (folder) => {
    using writer = await SparseWriter.create(join(folder, "copy"));
    await writer.write({ offset: 10, data: noise(10) });
    await assert.rejects(writer.write({ offset: 19, data: noise(1) }), { code: "invalid" });
    await assert.rejects(writer.finish(19), { code: "invalid" });
  }));

/** Hands the bytes over in pieces that fit nothing. */
async function* inPieces(bytes: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length; at += length) yield piece.slice(at, at + length);
  }
}

Deno.test("frames carry a file whatever pieces they come in, and end with its checksum", () =>
  inFolder(async (folder) => {
    const { path, contents } = await makeSparseFile(folder);
    for (const [from, pieceBytes] of [[0, 7_777], [2_000_000, 1_000_003]] as const) {
      const frames: Frame[] = await Array.fromAsync(
        receiveFrames(inPieces(sendFrames({ path, from }), pieceBytes)),
      );
      assert.deepEqual(frames.at(-1), {
        kind: "end",
        totalBytes: contents.length,
        sha256: sha256(contents),
      });
      const seen = new Uint8Array(contents.length);
      for (const frame of frames) if (frame.kind === "block") seen.set(frame.block.data, frame.block.offset);
      assert.deepEqual(seen.subarray(from), contents.subarray(from));
    }
  }));

Deno.test("receiveFrames() tells a connection that ended from bytes that are no frames", async () => {
  async function* bytes(...pieces: Uint8Array[]) {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  const receive = (...pieces: Uint8Array[]) => Array.fromAsync(receiveFrames(bytes(...pieces)));
  await assert.rejects(receive(), { code: "unavailable" });
  await assert.rejects(receive(new Uint8Array([1, 0, 0])), { code: "unavailable" });
  const header = (kind: number, length: number) => {
    const view = new DataView(new ArrayBuffer(13));
    view.setUint8(0, kind);
    view.setUint32(9, length);
    return new Uint8Array(view.buffer);
  };
  await assert.rejects(receive(header(1, 100), noise(99)), { code: "unavailable" });
  await assert.rejects(receive(header(1, 1024 * KiB + 1)), { code: "invalid" });
  await assert.rejects(receive(header(1, 0)), { code: "invalid" });
  await assert.rejects(receive(header(3, 1)), { code: "invalid" });
  await assert.rejects(receive(header(1, 100).fill(255, 1, 9), noise(100)), { code: "invalid" });
});

Deno.test("an empty file is one frame", () =>
  inFolder(async (folder) => {
    const path = join(folder, "empty");
    await Deno.writeFile(path, new Uint8Array());
    const end = { kind: "end", totalBytes: 0, sha256: sha256(new Uint8Array()) };
    assert.deepEqual(await Array.fromAsync(receiveFrames(sendFrames({ path, from: 0 }))), [end]);
  }));
