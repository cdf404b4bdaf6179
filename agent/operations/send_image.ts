import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import type { SendImageOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { requireQuietFile } from "../images/idle_machine.ts";
import { sendFrames } from "../images/frames.ts";
import { imageKey, isSealed, requireImage } from "../images/known_image.ts";
import { readUses } from "../images/uses.ts";
import {
  close,
  connectToReceiver,
  introduce,
  readConfirmation,
  RefusedByReceiver,
  writeAll,
} from "../images/transfer_link.ts";

type Input = z.output<typeof SendImageOperation>;

const what = "Send the image";
/** A connection on which nothing moves is given up, and another one is tried. */
const stallMs = 30_000;
/** Less than the receiver waits. */
const tryForMs = 4 * 60_000;
const longestPauseMs = 15_000;

/** Sends a file to another agent, which waits for it by a receive-image job. A broken connection goes on where it was. */
export const sendImage: JobOperation<Input> = { run, recover: () => Promise.resolve() };

async function run(host: Host, input: Input, op: Operation): Promise<void> {
  using source = await holdSource(host, input.path, op.signal);
  let connection: Deno.TlsConn | null = await connectToReceiver(input, op.signal);
  const sending = new Sending(input, source.bytes, op);
  for (let pauseMs = 1_000;; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const before = sending.offset;
    try {
      connection ??= await connectToReceiver(input, op.signal);
      return await sending.send(connection);
    } catch (error) {
      op.signal.throwIfAborted();
      if (error instanceof RefusedByReceiver) throw new AppError(error.info.code, error.info.message);
      if (sending.offset > before) pauseMs = 500;
      if (Date.now() - sending.movedAt > tryForMs) throw brokenOff(error);
      host.log.info(
        { err: error, path: input.path, offset: sending.offset },
        "sending an image goes on soon",
      );
    }
    connection = null;
    await delay(pauseMs, undefined, { signal: op.signal }).catch(() => op.signal.throwIfAborted());
  }
}

/** One file on its way, over one connection after another. */
class Sending {
  offset = 0;
  movedAt = Date.now();

  constructor(
    private readonly input: Input,
    private readonly totalBytes: number,
    private readonly op: Operation,
  ) {}

  async send(connection: Deno.TlsConn): Promise<void> {
    const { signal } = this.op;
    const end = () => close(connection);
    let stalled = setTimeout(end, stallMs);
    signal.addEventListener("abort", end, { once: true });
    try {
      const { from, reader } = await introduce(connection, this.input.token);
      // The receiver may refuse at any time; nobody reads its answer while bytes are being written.
      const confirmed = readConfirmation(reader);
      confirmed.catch(end);
      const frames = sendFrames({ path: this.input.path, from }, {
        signal,
        onProgress: (offset) => {
          clearTimeout(stalled);
          stalled = setTimeout(end, stallMs);
          this.#moved(offset);
        },
      });
      for await (const frame of frames) {
        await writeAll(connection, frame).catch(async (error) => {
          await confirmed;
          throw error;
        });
      }
      clearTimeout(stalled);
      this.op.report({ stage: "Waiting until the image is whole" });
      await confirmed;
    } finally {
      clearTimeout(stalled);
      signal.removeEventListener("abort", end);
      close(connection);
    }
  }

  #moved(offset: number): void {
    this.movedAt = Date.now();
    this.offset = Math.max(this.offset, offset);
    this.op.report({ stage: "Sending the image", done: offset, total: this.totalBytes, unit: "bytes" });
  }
}

/**
 * Keeps a file from being changed while it is sent: it is sealed, or no machine runs on it until disposed.
 * @throws {AppError} `not_found`, `invalid`, `conflict`.
 */
export async function holdSource(
  host: Host,
  path: string,
  signal: AbortSignal,
): Promise<{ bytes: number } & Disposable> {
  const { userIds } = await requireImage(host, path, what);
  const sealed = isSealed(await Deno.stat(path));
  const lock = await host.locks.hold(sealed ? [] : userIds, {
    purpose: "its image is being sent to another hypervisor",
    sharedKeys: [await imageKey(path)],
    by: "job",
    signal,
  });
  try {
    const image = await requireImage(host, path, what);
    await requireQuietFile(image, await readUses(host), what, signal);
    const { size } = await Deno.stat(path);
    return { bytes: size, [Symbol.dispose]: () => lock[Symbol.dispose]() };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

const brokenOff = (cause: unknown) =>
  new AppError(
    "unavailable",
    `${what}: the connection to the other hypervisor broke and did not come back.`,
    {
      cause,
    },
  );
