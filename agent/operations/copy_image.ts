import { dirname } from "node:path";
import type { z } from "zod";
import type { CopyImageOperation, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { hashFile, readBlocks, SparseWriter } from "../images/blocks.ts";
import { copyImage as convertImage } from "../images/copy_image.ts";
import {
  partialOf,
  readVersion,
  removeIfPresent,
  replaceFile,
  requireAbsent,
  requireSpace,
  targetPath,
} from "../images/files.ts";
import { requireQuiet } from "../images/idle_machine.ts";
import { describeImage } from "../images/image_result.ts";
import { imageKey, type KnownImage, requireImage } from "../images/known_image.ts";
import { readUses } from "../images/uses.ts";
import { readVirtualBytes } from "../images/virtual_size.ts";

type Input = z.output<typeof CopyImageOperation>;

const what = "Copy the image";

/** Copies a file that lies on storage which this host shares with another to a place of the agent's own. */
export const copyImage: JobOperation<Input> = { run, recover };

async function run(host: Host, { fromPath, to, asIs, sha256 }: Input, op: Operation): Promise<ImageResult> {
  const path = targetPath(host.config.imageDir, to);
  const { userIds } = await requireImage(host, fromPath, what);
  using _lock = await host.locks.hold([await imageKey(path), partialOf(path), ...userIds], {
    purpose: "its image is being copied",
    sharedKeys: [await imageKey(fromPath)],
    by: "job",
    signal: op.signal,
  });
  await requireAbsent(path);
  await removeIfPresent(partialOf(path));
  const from = await requireImage(host, fromPath, what);
  await requireQuiet(from, await readUses(host), what, op.signal);
  await using undo = new AsyncDisposableStack();
  const copied = asIs
    ? await copyAsIs(from, path, sha256, op, undo)
    : await copyContents(from, path, sha256, op, undo);
  undo.move();
  return await describeImage(path, {
    format: asIs ? from.format : "qcow2",
    version: readVersion(path),
    sha256: copied,
  });
}

/** @returns the checksum of both. */
async function copyAsIs(
  from: KnownImage,
  path: string,
  expected: string | null,
  op: Operation,
  undo: AsyncDisposableStack,
): Promise<string> {
  const { size, blocks } = await Deno.stat(from.path);
  await requireSpace(dirname(path), what, Math.min(size, (blocks ?? 0) * 512));
  using writer = await SparseWriter.create(partialOf(path));
  undo.defer(() => removeIfPresent(partialOf(path)));
  for await (const block of readBlocks(from.path, { signal: op.signal })) {
    await writer.write(block);
    op.report({ stage: "Copying the image", done: writer.position, total: size, unit: "bytes" });
  }
  const sha256 = await writer.finish(size);
  requireSame(sha256, expected);
  op.signal.throwIfAborted();
  await replaceFile(partialOf(path), path);
  return sha256;
}

/** The copy's own checksum means nothing to anybody: only the source's is checked. */
async function copyContents(
  { path: fromPath, format }: KnownImage,
  path: string,
  expected: string | null,
  op: Operation,
  undo: AsyncDisposableStack,
): Promise<null> {
  if (expected !== null) {
    const total = (await Deno.stat(fromPath)).size;
    const onProgress = (done: number) =>
      op.report({ stage: "Checking the image", done, total, unit: "bytes" });
    requireSame(await hashFile(fromPath, { signal: op.signal, onProgress }), expected);
  }
  const virtualBytes = await readVirtualBytes(fromPath, format);
  await convertImage(
    { from: { path: fromPath, format, virtualBytes }, to: path, stage: "Copying the image" },
    op,
    undo,
  );
  return null;
}

function requireSame(sha256: string, expected: string | null): void {
  if (expected === null || sha256 === expected) return;
  throw new AppError("hypervisor_failed", `${what}: its checksum is wrong. The file was changed or damaged.`);
}

/** A whole copy that nobody was told of is a stray, and is shown as one. */
async function recover(host: Host, { to }: Input): Promise<void> {
  const path = targetPath(host.config.imageDir, to);
  using _lock = await host.locks.hold([await imageKey(path), partialOf(path)], {
    purpose: "an interrupted copy is being removed",
    by: "job",
  });
  await removeIfPresent(partialOf(path));
}
