/** Uploads to a fake agent. */
import type { z } from "zod";
import type { BeginUpload, FinishedUpload, UploadPart } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { headerOf, sha256Of } from "./fake_files.ts";

interface FakeUpload {
  fileName: string;
  bytes: number;
  received: Uint8Array;
}

export class FakeUploads {
  readonly #uploads = new Map<string, FakeUpload>();
  readonly #finished = new Map<string, FinishedUpload>();

  constructor(private readonly agent: FakeAgent) {}

  begin(id: string, { fileName, bytes }: z.infer<typeof BeginUpload>): UploadPart {
    if (!this.#uploads.has(id)) {
      if (this.agent.files.has(this.#pathOf(fileName))) {
        throw new AppError("conflict", `Upload ${fileName}: the hypervisor has a file of that name already.`);
      }
      this.#uploads.set(id, { fileName, bytes, received: new Uint8Array(0) });
    }
    return this.part(id);
  }

  part(id: string): UploadPart {
    const { received, bytes } = this.#require(id);
    return { receivedBytes: received.length, bytes };
  }

  write(id: string, offset: number, piece: Uint8Array): UploadPart {
    const upload = this.#require(id);
    if (offset !== upload.received.length) {
      throw new AppError("conflict", `Go on with the upload at ${upload.received.length}, where it stopped.`);
    }
    if (offset + piece.length > upload.bytes) {
      throw new AppError("invalid", "The upload is longer than it was said to be.");
    }
    const received = new Uint8Array(offset + piece.length);
    received.set(upload.received);
    received.set(piece, offset);
    upload.received = received;
    return this.part(id);
  }

  finish(id: string, sha256: string): FinishedUpload {
    const known = this.#finished.get(id);
    if (known) return known;
    const upload = this.#require(id);
    if (upload.received.length < upload.bytes) {
      throw new AppError("conflict", "Finish the upload: it is not whole yet.");
    }
    if (sha256Of(upload.received) !== sha256) {
      throw new AppError("invalid", `Upload ${upload.fileName}: its checksum is not right.`);
    }
    const path = this.#pathOf(upload.fileName);
    const { format, virtualBytes } = headerOf(
      this.agent.files.put(path, upload.received, upload.received.length),
    );
    this.#uploads.delete(id);
    const finished = { path, format, virtualBytes };
    this.#finished.set(id, finished);
    return finished;
  }

  cancel(id: string): void {
    this.#uploads.delete(id);
  }

  #pathOf(fileName: string): string {
    const { imageDir, isoDir } = this.agent.facts.settings;
    return `${/\.iso$/i.test(fileName) ? isoDir : imageDir}/${fileName}`;
  }

  #require(id: string): FakeUpload {
    const upload = this.#uploads.get(id);
    if (!upload) throw new AppError("not_found", `There is no upload ${id} on this hypervisor.`);
    return upload;
  }
}
