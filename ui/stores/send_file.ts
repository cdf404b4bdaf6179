/** Sends a file to a hypervisor in pieces. It survives lost connections and goes on where an earlier attempt stopped. */
import { AppError } from "../../contracts/errors.ts";
import { type Upload, uploadPieceBytes } from "../../contracts/storage.ts";
import type { RunningHash } from "./sha256.ts";

/** The dashboard's side of an upload. */
export interface UploadApi {
  list: (signal: AbortSignal) => Promise<Upload[]>;
  create: (
    upload: { hypervisorId: string; fileName: string; bytes: number },
    signal: AbortSignal,
  ) => Promise<Upload>;
  get: (id: string, signal: AbortSignal) => Promise<Upload>;
  piece: (id: string, offset: number, bytes: Uint8Array, signal: AbortSignal) => Promise<Upload>;
  finish: (id: string, sha256: string, signal: AbortSignal) => Promise<Upload>;
}

/** What is being done: `waiting` is for the network. */
export type SendingStage = "preparing" | "sending" | "waiting" | "checking";
export interface Sending {
  stage: SendingStage;
  uploadId: string | null;
  /** Bytes that the hypervisor has. */
  sentBytes: number;
  /** Where this attempt began: more than 0 when it resumed. */
  resumedFrom: number;
}

export interface SendFileOptions {
  file: Blob;
  fileName: string;
  hypervisorId: string;
  api: UploadApi;
  startHash: () => Promise<RunningHash>;
  onChange: (sending: Sending) => void;
  signal: AbortSignal;
  /** Resolves when it is time to try again after the n-th failure in a row. */
  pause?: (failures: number, signal: AbortSignal) => Promise<void>;
  pieceBytes?: number;
}

/**
 * Resolves to the finished upload.
 * @throws {AppError} with the dashboard's own words when it refuses: quota, full disk, checksum, unknown format.
 */
export async function sendFile(options: SendFileOptions): Promise<Upload> {
  const { file, api, signal, onChange, pieceBytes = uploadPieceBytes } = options;
  const steady = <T>(work: () => Promise<T>) =>
    untilReachable(work, options, () => change({ stage: "waiting" }));
  let now: Sending = { stage: "preparing", uploadId: null, sentBytes: 0, resumedFrom: 0 };
  const change = (patch: Partial<Sending>) => onChange(now = { ...now, ...patch });
  change({});
  const hash = await options.startHash();
  let hashedBytes = 0;
  let upload = await steady(() => findOrCreate(options));
  change({ uploadId: upload.id, sentBytes: upload.receivedBytes, resumedFrom: upload.receivedBytes });
  const { id } = upload;

  while (upload.receivedBytes < file.size) {
    const from: number = upload.receivedBytes;
    while (hashedBytes < from) {
      hashedBytes += await hashNext(hash, file, hashedBytes, Math.min(from, hashedBytes + pieceBytes));
    }
    signal.throwIfAborted();
    const end = Math.min(file.size, from + pieceBytes);
    const bytes = await bytesOf(file, from, end);
    if (end > hashedBytes) {
      hash.update(bytes.subarray(hashedBytes - from));
      hashedBytes = end;
    }
    change({ stage: "sending", sentBytes: from });
    upload = await steady(() => sendOrAsk(api, id, from, bytes, signal));
  }
  while (hashedBytes < file.size) {
    hashedBytes += await hashNext(hash, file, hashedBytes, Math.min(file.size, hashedBytes + pieceBytes));
    signal.throwIfAborted();
  }
  change({ stage: "checking", sentBytes: file.size });
  const sha256 = hash.finish();
  return await steady(() => finishOnce(api, id, sha256, signal));
}

/** An upload of the same name and size that has stopped half way is gone on with. */
async function findOrCreate({ api, file, fileName, hypervisorId, signal }: SendFileOptions): Promise<Upload> {
  const known = (await api.list(signal)).find((one) =>
    one.state === "receiving" && one.fileName === fileName && one.bytes === file.size &&
    one.hypervisorId === hypervisorId
  );
  // The hypervisor knows best how far it is; the list may be older.
  const upload = known && await api.get(known.id, signal);
  if (upload?.state === "receiving") return upload;
  return await api.create({ hypervisorId, fileName, bytes: file.size }, signal);
}

/** A piece may have arrived although its answer was lost: then the dashboard says where to go on. */
async function sendOrAsk(
  api: UploadApi,
  id: string,
  offset: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Upload> {
  try {
    return await api.piece(id, offset, bytes, signal);
  } catch (error) {
    if (!(error instanceof AppError && error.code === "conflict")) throw error;
    const upload = await api.get(id, signal);
    if (upload.state !== "receiving" || upload.receivedBytes === offset) throw error;
    return upload;
  }
}

/** The answer to `finish` may be lost, too. */
async function finishOnce(api: UploadApi, id: string, sha256: string, signal: AbortSignal): Promise<Upload> {
  try {
    return await api.finish(id, sha256, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === "unavailable") throw error;
    const upload = await api.get(id, signal).catch(() => null);
    if (upload?.state === "done") return upload;
    throw error;
  }
}

async function bytesOf(file: Blob, from: number, end: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(from, end).arrayBuffer());
  } catch (cause) {
    throw new AppError(
      "invalid",
      "The file can't be read any more: it was changed, moved or deleted. Choose it again.",
      { cause },
    );
  }
}

async function hashNext(hash: RunningHash, file: Blob, from: number, end: number): Promise<number> {
  hash.update(await bytesOf(file, from, end));
  return end - from;
}

/** Tries again for as long as the dashboard or the hypervisor can't be reached. */
async function untilReachable<T>(
  work: () => Promise<T>,
  { signal, pause = pauseFor }: SendFileOptions,
  onLost: () => void,
): Promise<T> {
  for (let failures = 1;; failures++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError && error.code === "unavailable")) throw error;
      onLost();
      await pause(failures, signal);
    }
  }
}

const pausesMs = [500, 1000, 2000, 5000, 10_000, 20_000];

/** Waits longer after each failure; at once when the browser says that the network is back. */
function pauseFor(failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      globalThis.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, pausesMs[Math.min(failures, pausesMs.length) - 1]);
    globalThis.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
