import { dirname } from "node:path";
import type { z } from "zod";
import type { ImageResult, SealOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { hashFile } from "../images/blocks.ts";
import { readVersion, sync } from "../images/files.ts";
import { describeImage } from "../images/image_result.ts";
import { requireQuiet } from "../images/idle_machine.ts";
import { imageKey, requireImage } from "../images/known_image.ts";
import { listNames, readUses } from "../images/uses.ts";

type Input = z.output<typeof SealOperation>;

const what = "Seal the image";
const sealedMode = 0o444;
const openMode = 0o644;

/** Makes an image final: it is checked that nothing writes to it, its checksum is taken, and it becomes read-only. */
export const seal: JobOperation<Input> = { run, recover: () => Promise.resolve() };

async function run(host: Host, { path }: Input, op: Operation): Promise<ImageResult> {
  const { signal } = op;
  const { userIds } = await requireImage(host, path, what);
  using _lock = await host.locks.hold([await imageKey(path), ...userIds], {
    purpose: "its image is being sealed",
    by: "job",
    signal,
  });
  // A machine may have been made on it meanwhile, or deleted with it.
  const image = await requireImage(host, path, what);
  await requireQuiet(image, await readUses(host), what, signal);
  const { size } = await Deno.stat(path);
  const report = (done: number) =>
    op.report({ stage: "Computing the checksum", done, total: size, unit: "bytes" });
  report(0);
  await sync(path);
  const sha256 = await hashFile(path, { signal, onProgress: report });
  signal.throwIfAborted();
  await Deno.chmod(path, sealedMode);
  await sync(dirname(path));
  return await describeImage(path, { format: image.format, version: readVersion(path), sha256 });
}

/** Makes a sealed image a draft again. @throws {AppError} `not_found`; `conflict` while anything is based on it. */
export async function unseal(host: Host, path: string): Promise<void> {
  const reopen = "Reopen the image";
  await requireImage(host, path, reopen);
  using _lock = await host.locks.hold([await imageKey(path)], { purpose: "its image is being reopened" });
  const based = (await (await readUses(host)).of(path)).filter(({ as }) => as === "backing");
  if (based.length > 0) {
    const names = listNames(based.map(({ name }) => name));
    throw new AppError("conflict", `${reopen}: ${path} is the base of ${names} and must not change.`);
  }
  await Deno.chmod(path, openMode);
}
