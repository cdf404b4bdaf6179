import { dirname } from "node:path";
import type { z } from "zod";
import type { ImageResult, ReceiveImageOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { SparseWriter } from "../images/blocks.ts";
import {
  partialOf,
  readVersion,
  removeIfPresent,
  replaceFile,
  requireAbsent,
  requireSpace,
  targetPath,
} from "../images/files.ts";
import { describeImage } from "../images/image_result.ts";
import { imageKey } from "../images/known_image.ts";
import { readQcow2Header } from "../images/qcow2_header.ts";
import { IncomingImage } from "../images/receiver.ts";
import { listenForSender } from "../images/transfer_link.ts";

type Input = z.output<typeof ReceiveImageOperation>;

/** How long it waits for a sender that has not come, or has broken off. */
const patienceMs = 5 * 60_000;

/** Receives a file from another agent, straight or through the dashboard's relay. */
export const receiveImage: JobOperation<Input> = {
  run: (host, input, op) => receive(host, input, op),
  recover,
};

/** @param waitMs for tests: how long without a byte is too long */
export async function receive(
  host: Host,
  input: Input,
  op: Operation,
  waitMs = patienceMs,
): Promise<ImageResult> {
  const path = targetPath(host.config.imageDir, input.to);
  using _lock = await host.locks.hold([await imageKey(path), partialOf(path)], {
    purpose: "it is being received",
    by: "job",
    signal: op.signal,
  });
  await requireAbsent(path);
  await removeIfPresent(partialOf(path));
  await requireSpace(dirname(path), "Receive the image", input.allocatedBytes);
  await using undo = new AsyncDisposableStack();
  using writer = await SparseWriter.create(partialOf(path));
  undo.defer(() => removeIfPresent(partialOf(path)));
  const sha256 = await receiveInto(host, writer, input, path, op, waitMs);
  undo.move();
  return await describeImage(path, { format: await formatOf(path), version: readVersion(path), sha256 });
}

async function receiveInto(
  host: Host,
  writer: SparseWriter,
  { bytes, sha256, direct }: Input,
  path: string,
  op: Operation,
  waitMs: number,
): Promise<string> {
  let checksum = "";
  const patience = makePatience(waitMs, () =>
    image.fail(
      new AppError("unavailable", `Receive the image: nothing came for ${Math.round(waitMs / 1000)} s.`),
    ));
  const image = new IncomingImage({
    writer,
    bytes,
    sha256,
    onProgress(done) {
      patience.renew();
      op.report({ stage: "Receiving the image", done, total: bytes, unit: "bytes" });
    },
    async place(whole) {
      op.signal.throwIfAborted();
      await replaceFile(partialOf(path), path);
      checksum = whole;
    },
  });
  const abort = () => image.fail(op.signal.reason);
  op.signal.addEventListener("abort", abort, { once: true });
  try {
    op.signal.throwIfAborted();
    op.report({ stage: "Waiting for the image", done: 0, total: bytes, unit: "bytes" });
    using listening = direct ? await listenForSender(image, host.log, host.config.transferAddress) : null;
    image.direct = listening?.direct ?? null;
    using _known = host.receivers.add(op.jobId, image);
    await image.done.finally(() => listening?.settled());
    return checksum;
  } finally {
    patience.end();
    op.signal.removeEventListener("abort", abort);
    // Nothing is written to a file that is about to be removed.
    await image.halt();
  }
}

/** Calls back when it is not renewed in time. */
function makePatience(waitMs: number, onEnd: () => void) {
  let timer = setTimeout(onEnd, waitMs);
  return {
    renew() {
      clearTimeout(timer);
      timer = setTimeout(onEnd, waitMs);
    },
    end: () => clearTimeout(timer),
  };
}

const formatOf = async (path: string): Promise<string> => await readQcow2Header(path) ? "qcow2" : "raw";

/** A whole file that nobody was told of is a stray, and is shown as one. */
async function recover(host: Host, { to }: Input): Promise<void> {
  const path = targetPath(host.config.imageDir, to);
  using _lock = await host.locks.hold([await imageKey(path), partialOf(path)], {
    purpose: "an interrupted transfer is being removed",
    by: "job",
  });
  await removeIfPresent(partialOf(path));
}
