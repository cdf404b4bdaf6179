/** Images between fake agents: copies on shared storage, sealing, receiving and sending. */
import type { ImageResult, Receiving } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { targetPath } from "../../agent/images/files.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { headerOf, sha256Of } from "./fake_files.ts";
import type { FakeInput, FakeRun } from "./fake_operations.ts";

/** A receive-image job that waits for its bytes. */
class FakeReceiver {
  received = new Uint8Array(0);
  readonly done = Promise.withResolvers<Uint8Array>();
  readonly direct: Receiving["direct"];

  constructor(readonly bytes: number, readonly sha256: string | null, direct: boolean) {
    const secret = crypto.randomUUID();
    this.direct = direct ? { port: ++lastPort, certificate: `fake ${secret}`, token: secret } : null;
    if (this.direct) listeners.set(this.direct.port, this);
  }

  take(from: number, piece: Uint8Array): void {
    if (from !== this.received.length) {
      throw new AppError("conflict", `Go on at ${this.received.length}, where the file stops.`);
    }
    const all = new Uint8Array(from + piece.length);
    all.set(this.received);
    all.set(piece, from);
    this.received = all;
    if (all.length < this.bytes) return;
    try {
      if (this.sha256 !== null) requireSha256(all, this.sha256);
      this.done.resolve(all);
    } catch (error) {
      this.done.reject(error);
      throw error;
    }
  }

  close(): void {
    if (this.direct) listeners.delete(this.direct.port);
  }
}

/** What listens anywhere in this process, by port. */
const listeners = new Map<number, FakeReceiver>();
let lastPort = 40_000;

export class FakeTransfers {
  readonly #receivers = new Map<string, FakeReceiver>();

  constructor(private readonly agent: FakeAgent) {}

  async copyImage(
    { fromPath, to, asIs, sha256 }: FakeInput<"copy-image">,
    run: FakeRun,
  ): Promise<ImageResult> {
    const { files, imageDir } = this.agent;
    const path = targetPath(imageDir, to);
    if (files.has(path)) throw new AppError("conflict", `Create ${path}: the file exists.`);
    const from = files.require(fromPath);
    files.requireWhole(fromPath, "Copy the image");
    files.requireQuiet(fromPath, "Copy the image");
    await run.copyBytes(headerOf(from).virtualBytes, "Copying the image");
    if (sha256 !== null && asIs) requireSha256(from.content, sha256);
    if (asIs) files.put(path, from.content, from.allocatedBytes);
    else files.create(path, headerOf(from).virtualBytes);
    return files.result(path, asIs);
  }

  async seal({ path }: FakeInput<"seal">, run: FakeRun): Promise<ImageResult> {
    const { files } = this.agent;
    const file = files.require(path);
    files.requireWhole(path, "Seal the image");
    files.requireQuiet(path, "Seal the image");
    await run.copyBytes(file.content.length, "Computing the checksum");
    file.sealed = true;
    return files.result(path, true);
  }

  unseal(path: string): void {
    const { files } = this.agent;
    const file = files.require(path);
    const clones = files.basedOn(path);
    if (clones.length > 0) {
      const names = clones.slice(0, 5).map(({ name }) => name).join(", ");
      throw new AppError("conflict", `Reopen ${path}: it is the base of ${names}.`);
    }
    file.sealed = false;
  }

  async receive(input: FakeInput<"receive-image">, run: FakeRun): Promise<ImageResult> {
    const { files, imageDir } = this.agent;
    const path = targetPath(imageDir, input.to);
    if (files.has(path)) throw new AppError("conflict", `Create ${path}: the file exists.`);
    const receiver = new FakeReceiver(input.bytes, input.sha256, input.direct);
    this.#receivers.set(run.jobId, receiver);
    run.report({ stage: "Waiting for the image", done: 0, total: input.bytes, unit: "bytes" });
    const abort = () => receiver.done.reject(run.signal.reason);
    run.signal.addEventListener("abort", abort, { once: true });
    try {
      const content = await receiver.done.promise;
      files.put(path, content, input.allocatedBytes);
      return files.result(path, true);
    } finally {
      run.signal.removeEventListener("abort", abort);
      this.#receivers.delete(run.jobId);
      receiver.close();
    }
  }

  async send({ path, port, certificate, token }: FakeInput<"send-image">, run: FakeRun): Promise<void> {
    const { files } = this.agent;
    const { content } = files.require(path);
    files.requireQuiet(path, "Send the image");
    const receiver = listeners.get(port);
    if (!receiver || !this.agent.options.reachesOthers) {
      throw new AppError("unavailable", "Send the image: the other hypervisor cannot be reached directly.");
    }
    if (receiver.direct?.certificate !== certificate || receiver.direct.token !== token) {
      throw new AppError("forbidden", "Send the image: the other hypervisor refused the token.");
    }
    await run.copyBytes(content.length, "Sending the image");
    receiver.take(receiver.received.length, content.subarray(receiver.received.length));
  }

  receiving(jobId: string): Receiving {
    const { received, direct } = this.#require(jobId);
    return { receivedBytes: received.length, direct };
  }

  /** Frames of a fake are the bytes as they are. */
  async *stream(path: string, from: number): AsyncGenerator<Uint8Array> {
    const { content } = this.agent.files.require(path);
    for (let at = from; at < content.length; at += 64) {
      await this.agent.wait(this.agent.options.copyMs / 10);
      yield content.subarray(at, at + 64);
    }
  }

  async take(jobId: string, from: number, frames: AsyncIterable<Uint8Array>): Promise<void> {
    const receiver = this.#require(jobId);
    let at = from;
    for await (const piece of frames) {
      receiver.take(at, piece);
      at += piece.length;
    }
  }

  #require(jobId: string): FakeReceiver {
    const receiver = this.#receivers.get(jobId);
    if (!receiver) throw new AppError("not_found", `No file is being received by the job ${jobId}.`);
    return receiver;
  }
}

function requireSha256(content: Uint8Array, expected: string): void {
  if (sha256Of(content) === expected) return;
  throw new AppError("hypervisor_failed", "The image was damaged on its way: its checksum is not right.");
}
