import type { Receiving } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { SparseWriter } from "./blocks.ts";
import { type Frame, receiveFrames } from "./frames.ts";

/** A file on its way here, as those who bring it see it. */
export interface Receiver {
  /** How far it is, and where it listens. */
  state(): Receiving;
  /** Stops whoever brings bytes now. @returns where the file stops */
  halt(): Promise<number>;
  /**
   * Takes frames that begin at `from`; resolves once the file is whole and in its place.
   * @throws {AppError} `conflict` unless `from` is where the file stops, or when somebody else has taken over;
   * `unavailable` when the bytes end too early; `invalid` for what is not frames or not the file.
   */
  take(from: number, bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

/** The files that are being received now, by the id of their job. */
export class Receivers {
  readonly #receivers = new Map<string, Receiver>();

  /** Makes a receiver known until disposed. */
  add(jobId: string, receiver: Receiver): Disposable {
    this.#receivers.set(jobId, receiver);
    return { [Symbol.dispose]: () => void this.#receivers.delete(jobId) };
  }

  /** @throws {AppError} `not_found` before the job has begun to wait, and after its end. */
  get(jobId: string): Receiver {
    const receiver = this.#receivers.get(jobId);
    if (receiver) return receiver;
    throw new AppError("not_found", `No file is being received by the job ${jobId}.`);
  }
}

export interface IncomingFile {
  writer: SparseWriter;
  bytes: number;
  /** As it must be; null: only what the sender says is checked. */
  sha256: string | null;
  onProgress(receivedBytes: number): void;
  /** Puts the whole file, whose checksum is right, in its place. */
  place(sha256: string): Promise<void>;
}

/** Writes what is brought to a file, whoever brings it and in however many goes. */
export class IncomingImage implements Receiver {
  /** Where it listens, once it does. */
  direct: Receiving["direct"] = null;
  /** Rejects when the file cannot become whole any more; a connection that breaks is no reason. */
  readonly done: Promise<void>;
  readonly #done = Promise.withResolvers<void>();
  #turn = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly file: IncomingFile) {
    this.done = this.#done.promise;
    this.done.catch(() => {});
  }

  state(): Receiving {
    return { receivedBytes: this.file.writer.position, direct: this.direct };
  }

  async halt(): Promise<number> {
    this.#turn++;
    await this.#writing.catch(() => {});
    return this.file.writer.position;
  }

  /** Gives up; whoever brings bytes is told why. */
  fail(reason: unknown): void {
    this.#turn++;
    this.#done.reject(reason);
  }

  async take(from: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const position = await this.halt();
    const turn = this.#turn;
    if (from !== position) {
      throw new AppError("conflict", `Go on at byte ${position}: the image stops there, not at ${from}.`);
    }
    for await (const frame of receiveFrames(bytes)) {
      if (turn !== this.#turn) {
        throw new AppError(
          "conflict",
          "Send the image: another connection has taken over, or it was given up.",
        );
      }
      this.#writing = this.#apply(frame).catch((error) => {
        this.#done.reject(error);
        throw error;
      });
      await this.#writing;
      this.file.onProgress(this.file.writer.position);
    }
  }

  async #apply(frame: Frame): Promise<void> {
    const { writer, bytes } = this.file;
    const last = frame.kind === "end" ? frame.totalBytes : frame.block.offset + frame.block.data.length;
    if (last > bytes || (frame.kind === "end" && last !== bytes)) {
      throw new AppError("invalid", `Receive the image: it has not the ${bytes} bytes that were announced.`);
    }
    if (frame.kind === "block") return await writer.write(frame.block);
    const sha256 = await writer.finish(bytes);
    if (sha256 !== frame.sha256 || sha256 !== (this.file.sha256 ?? sha256)) {
      throw new AppError(
        "hypervisor_failed",
        "Receive the image: its checksum is wrong. It was changed or damaged on its way; nothing of it is kept.",
      );
    }
    await this.file.place(sha256);
    this.#done.resolve();
  }
}
