import { AppError } from "../../contracts/errors.ts";
import type { Receiving } from "../../contracts/agent.ts";

/** A file on its way here, as those who bring it see it. */
export interface Receiver {
  /** How far it is, and where it listens. */
  state(): Receiving;
  /**
   * Takes frames that begin at `from`, until they end.
   * @throws {AppError} `conflict` unless `from` is where the file stops; `invalid` for what is not frames.
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
