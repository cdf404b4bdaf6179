import { createHash, type Hash } from "node:crypto";
import { basename, join } from "node:path";
import { z } from "zod";
import { BeginUpload, FinishedUpload, type UploadPart } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { uploadPieceBytes } from "../../contracts/storage.ts";
import type { Host } from "../host.ts";
import {
  removeIfPresent,
  replaceFile,
  requireAbsent,
  requireSpace,
  statIfPresent,
  sync,
} from "../images/files.ts";
import { checkUpload } from "./checks.ts";
import { uploadPartial, uploadPartialName } from "./names.ts";

/** An upload as it is kept beside the jobs: everything but how far it is, which the partial file tells. */
const Kept = BeginUpload.extend({
  id: z.string(),
  directory: z.string(),
  finished: FinishedUpload.nullable(),
});
type Kept = z.output<typeof Kept>;

interface Upload {
  kept: Kept;
  /** Of the first `hashedBytes`; after a restart of the agent the rest is read again at the end. */
  hash: Hash;
  hashedBytes: number;
  unsyncedBytes: number;
  finishing: Promise<FinishedUpload> | null;
}

const syncEveryBytes = 64 * 1024 * 1024;
/** An upload that nobody has gone on with for so long is given up. */
const abandonedAfterMs = 7 * 24 * 3600_000;

/** Files on their way here in pieces. What has arrived stays, also when the agent is started again. */
export class Uploads {
  readonly #uploads = new Map<string, Upload>();

  constructor(
    private readonly host: Host,
    private readonly directory = join(host.config.stateDir, "uploads"),
  ) {}

  /** Takes up what an earlier agent was receiving. */
  async load(): Promise<void> {
    await Deno.mkdir(this.directory, { recursive: true });
    for await (const { name } of Deno.readDir(this.directory)) {
      if (!name.endsWith(".json")) continue;
      try {
        const kept = Kept.parse(JSON.parse(await Deno.readTextFile(join(this.directory, name))));
        this.#uploads.set(kept.id, opened(kept));
      } catch (error) {
        this.host.log.error({ err: error, file: name }, "a kept upload cannot be read and is left out");
      }
    }
    await this.sweep();
  }

  /**
   * Makes room for a file. The same id again tells how far it is.
   * @throws {AppError} `conflict` when there is such a file, or too little space with `reserveBytes` left free.
   */
  async begin(
    id: string,
    { fileName, bytes, reserveBytes }: z.output<typeof BeginUpload>,
  ): Promise<UploadPart> {
    using _lock = await this.#hold(id);
    const known = this.#uploads.get(id);
    if (known) return await this.#partOf(known);
    const { imageDir, isoDir } = this.host.config;
    const directory = /\.iso$/i.test(fileName) ? isoDir : imageDir;
    await this.#requireFreeName(fileName, directory);
    await requireSpace(directory, `Upload ${fileName}`, bytes + reserveBytes);
    const upload = opened({ id, fileName, bytes, reserveBytes, directory, finished: null });
    this.#uploads.set(id, upload);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.#forget(upload));
    await this.#write(upload.kept);
    (await Deno.open(partialPath(upload.kept), { createNew: true, write: true, mode: 0o644 })).close();
    undo.move();
    return { receivedBytes: 0, bytes };
  }

  /** @throws {AppError} `not_found`. */
  async get(id: string): Promise<UploadPart> {
    return await this.#partOf(this.#require(id));
  }

  /**
   * Appends a piece, as far as it arrives.
   * @throws {AppError} `conflict` unless `offset` is where the upload stopped; `invalid` for more than was announced.
   */
  async write(id: string, offset: number, piece: AsyncIterable<Uint8Array>): Promise<UploadPart> {
    using _lock = await this.#hold(id);
    const upload = this.#require(id);
    const { receivedBytes } = await this.#partOf(upload);
    if (offset !== receivedBytes) {
      throw new AppError("conflict", `Go on with the upload at ${receivedBytes}, not at ${offset}.`);
    }
    const mostBytes = Math.min(uploadPieceBytes, upload.kept.bytes - receivedBytes);
    await append(upload, offset, piece, mostBytes);
    return await this.#partOf(upload);
  }

  /**
   * Checks a whole upload and puts it in its place; the same again tells the same. Whoever does not wait for the end
   * finds the file in its place all the same.
   * @throws {AppError} `conflict` before all of it is there; `invalid` when it is not what it should be: then it is gone.
   */
  async finish(id: string, sha256: string): Promise<FinishedUpload> {
    const upload = this.#require(id);
    if (upload.kept.finished) return upload.kept.finished;
    upload.finishing ??= this.#finish(upload, sha256).finally(() => upload.finishing = null);
    return await upload.finishing;
  }

  /** Removes what has arrived; nothing when there is no such upload. */
  async cancel(id: string): Promise<void> {
    using _lock = await this.#hold(id);
    const upload = this.#uploads.get(id);
    if (!upload) return;
    await this.#forget(upload);
  }

  /** Gives up what nobody goes on with, and removes partial files that belong to nothing. */
  async sweep(now = Date.now()): Promise<void> {
    for (const upload of [...this.#uploads.values()]) {
      const state = await statIfPresent(this.#statePath(upload.kept.id));
      const changed = await statIfPresent(partialPath(upload.kept)) ?? state;
      if (upload.finishing || (changed?.mtime?.getTime() ?? 0) > now - abandonedAfterMs) continue;
      using _lock = await this.#hold(upload.kept.id);
      await this.#forget(upload);
      this.host.log.info({ uploadId: upload.kept.id }, "gave up an upload that nobody went on with");
    }
    const { imageDir, isoDir } = this.host.config;
    for (const dir of new Set([imageDir, isoDir])) {
      for await (const { name } of Deno.readDir(dir)) {
        const id = uploadPartialName.exec(name)?.[1];
        if (id !== undefined && !this.#uploads.has(id)) await removeIfPresent(join(dir, name));
      }
    }
  }

  async #finish(upload: Upload, sha256: string): Promise<FinishedUpload> {
    using _lock = await this.#hold(upload.kept.id);
    const { kept } = upload;
    const path = partialPath(kept);
    const { receivedBytes, bytes } = await this.#partOf(upload);
    if (receivedBytes < bytes) {
      throw new AppError(
        "conflict",
        `Finish ${kept.fileName}: ${receivedBytes} of ${bytes} bytes are there.`,
      );
    }
    try {
      await requireHash(upload, path, sha256);
      const checked = await checkUpload(this.host, path, kept.fileName);
      const target = join(kept.directory, kept.fileName);
      await requireAbsent(target);
      await replaceFile(path, target);
      kept.finished = { path: target, ...checked };
    } catch (error) {
      // What is not what it should be never will be; anything else can be tried again.
      if (error instanceof AppError && error.code === "invalid") await this.#forget(upload);
      throw error;
    }
    await this.#write(kept);
    return kept.finished;
  }

  async #requireFreeName(fileName: string, directory: string): Promise<void> {
    const underWay = [...this.#uploads.values()].some(({ kept }) =>
      kept.finished === null && kept.fileName === fileName && kept.directory === directory
    );
    if (underWay) {
      throw new AppError("conflict", `Upload ${fileName}: another upload of that name is under way.`);
    }
    if (!await statIfPresent(join(directory, fileName))) return;
    throw new AppError(
      "conflict",
      `Upload ${fileName}: the hypervisor has a file of that name. Delete it or use another name.`,
    );
  }

  async #partOf({ kept }: Upload): Promise<UploadPart> {
    if (kept.finished) return { receivedBytes: kept.bytes, bytes: kept.bytes };
    const stat = await statIfPresent(partialPath(kept));
    if (stat) return { receivedBytes: stat.size, bytes: kept.bytes };
    throw new AppError("not_found", `The upload of ${kept.fileName} is gone: begin it anew.`);
  }

  #require(id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload) return upload;
    throw new AppError("not_found", "The hypervisor knows no such upload: begin it anew.");
  }

  #hold(id: string) {
    return this.host.locks.hold([`upload ${id}`], { purpose: "a file is being uploaded" });
  }

  #statePath = (id: string): string => join(this.directory, `${id}.json`);

  async #write(kept: Kept): Promise<void> {
    const path = this.#statePath(kept.id);
    await Deno.writeTextFile(`${path}.partial`, JSON.stringify(kept));
    await replaceFile(`${path}.partial`, path);
  }

  async #forget({ kept }: Upload): Promise<void> {
    await removeIfPresent(partialPath(kept));
    await removeIfPresent(this.#statePath(kept.id));
    this.#uploads.delete(kept.id);
  }
}

const opened = (kept: Kept): Upload => ({
  kept,
  hash: createHash("sha256"),
  hashedBytes: 0,
  unsyncedBytes: 0,
  finishing: null,
});

const partialPath = ({ id, directory }: Kept): string => join(directory, uploadPartial(id));

async function append(
  upload: Upload,
  offset: number,
  piece: AsyncIterable<Uint8Array>,
  mostBytes: number,
): Promise<void> {
  const path = partialPath(upload.kept);
  using file = await Deno.open(path, { write: true });
  await file.seek(offset, Deno.SeekMode.Start);
  let written = 0;
  for await (const chunk of piece) {
    if (written + chunk.length > mostBytes) {
      throw new AppError(
        "invalid",
        `A piece of the upload is longer than the ${mostBytes} bytes that may follow.`,
      );
    }
    for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
    if (upload.hashedBytes === offset + written) {
      upload.hash.update(chunk);
      upload.hashedBytes += chunk.length;
    }
    written += chunk.length;
  }
  upload.unsyncedBytes += written;
  if (upload.unsyncedBytes < syncEveryBytes) return;
  await sync(path);
  upload.unsyncedBytes = 0;
}

async function requireHash(upload: Upload, path: string, wanted: string): Promise<void> {
  if (upload.hashedBytes < upload.kept.bytes) {
    const file = await Deno.open(path);
    await file.seek(upload.hashedBytes, Deno.SeekMode.Start);
    for await (const chunk of file.readable) {
      upload.hash.update(chunk);
      upload.hashedBytes += chunk.length;
    }
  }
  const sha256 = upload.hash.copy().digest("hex");
  if (sha256 === wanted) return;
  throw new AppError(
    "invalid",
    `Finish ${
      basename(upload.kept.fileName)
    }: its SHA-256 is ${sha256}, not ${wanted}. It was changed on its way: ` +
      "upload it again.",
  );
}
