/** Uploads of this browser tab: they go on while the user looks at other pages. */
import { computed, effect, signal } from "@preact/signals";
import { FileName, type Upload } from "../../contracts/storage.ts";
import { AppError } from "../../contracts/errors.ts";
import { call, sendPiece } from "../api.ts";
import { publish } from "../events.ts";
import { formatBytes } from "../format.ts";
import { sendFile, type Sending, type UploadApi } from "./send_file.ts";
import { toast, toastError } from "./toasts.ts";

export interface LocalUpload {
  key: number;
  file: File;
  hypervisorId: string;
  state: "running" | "done" | "failed";
  sending: Sending;
  error: unknown;
  /** Since when and from where on bytes have flowed without a break: rate and time left are told from it. */
  flow: { at: number; bytes: number };
  result: Upload | null;
}

export const uploads = signal<LocalUpload[]>([]);
export const runningUploads = computed(() => uploads.value.filter((one) => one.state === "running"));

const controllers = new Map<number, AbortController>();
let lastKey = 0;

const api: UploadApi = {
  list: async (signal) => (await call("listUploads", { signal })).items,
  create: async (body, signal) => (await call("createUpload", { body, signal })).upload,
  get: async (id, signal) => (await call("getUpload", { params: { id }, signal })).upload,
  piece: (id, offset, bytes, signal) => sendPiece(id, offset, bytes, signal),
  finish: async (id, sha256, signal) =>
    (await call("finishUpload", { params: { id }, body: { sha256 }, signal })).upload,
};

/**
 * Why a file can't be uploaded, or null. Known before the first byte is sent; quota and the rest are the dashboard's.
 * `freeBytes` is null while it is unknown.
 */
export function whyNotUpload(file: { name: string; size: number }, freeBytes: number | null): string | null {
  const name = FileName.safeParse(file.name);
  if (!name.success) return `${file.name}: the name ${nameProblem(name.error.issues[0]?.message)}.`;
  if (file.size === 0) return `${file.name} is empty.`;
  if (freeBytes !== null && file.size > freeBytes) {
    return `${file.name} has ${formatBytes(file.size)}, and ${formatBytes(freeBytes)} are free there. ` +
      "Remove what is not needed, or choose another hypervisor.";
  }
  return null;
}

const nameProblem = (message = "is not allowed") =>
  message.startsWith("must") ? message : `does not fit: ${message}`;

const change = (key: number, patch: Partial<LocalUpload>) => {
  uploads.value = uploads.value.map((one) => one.key === key ? { ...one, ...patch } : one);
};

/** Begins an upload, or goes on with one of the same file. Resolves to the finished upload, or null if it failed. */
export function startUpload(file: File, hypervisorId: string): Promise<Upload | null> {
  const same = uploads.value.find((one) => one.file.name === file.name && one.hypervisorId === hypervisorId);
  if (same?.state === "running") return Promise.resolve(null);
  if (same) forgetUpload(same.key);
  const key = ++lastKey;
  const sending: Sending = { stage: "preparing", uploadId: null, sentBytes: 0, resumedFrom: 0 };
  const flow = { at: Date.now(), bytes: 0 };
  uploads.value = [
    ...uploads.value,
    { key, file, hypervisorId, state: "running", sending, error: null, flow, result: null },
  ];
  return runUpload(key, file, hypervisorId);
}

async function runUpload(key: number, file: File, hypervisorId: string): Promise<Upload | null> {
  const controller = new AbortController();
  controllers.set(key, controller);
  try {
    const upload = await sendFile({
      file,
      fileName: file.name,
      hypervisorId,
      api,
      startHash: async () => await (await import("./sha256.ts")).startSha256(),
      onChange: (sending) => follow(key, sending),
      signal: controller.signal,
    });
    if (upload.state === "failed") {
      throw new AppError("invalid", upload.error ?? `${file.name} was not accepted.`);
    }
    change(key, { state: "done", result: upload });
    publish({ type: "upload", upload });
    toast({ variant: "success", title: `${file.name} uploaded` });
    return upload;
  } catch (error) {
    if (controller.signal.aborted) return null;
    change(key, { state: "failed", error });
    return null;
  } finally {
    controllers.delete(key);
  }
}

/** After a break the rate is told anew. */
function follow(key: number, sending: Sending): void {
  const before = uploads.peek().find((one) => one.key === key)?.sending.stage;
  const flows = before === "sending" && sending.stage === "sending";
  change(key, { sending, ...(flows ? {} : { flow: { at: Date.now(), bytes: sending.sentBytes } }) });
}

/** Stops an upload and removes what has arrived. */
export async function cancelUpload(upload: LocalUpload): Promise<void> {
  controllers.get(upload.key)?.abort();
  forgetUpload(upload.key);
  const { uploadId } = upload.sending;
  if (uploadId) await cancelRemains({ id: uploadId, fileName: upload.file.name });
}

/** Removes what has arrived of an upload that nobody goes on with. Resolves to whether it is gone. */
export async function cancelRemains({ id, fileName }: Pick<Upload, "id" | "fileName">): Promise<boolean> {
  try {
    await call("cancelUpload", { params: { id } });
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return true;
    toastError(`Could not remove what has arrived of ${fileName}`, error);
    return false;
  }
}

export const forgetUpload = (key: number) => {
  uploads.value = uploads.value.filter((one) => one.key !== key);
};

/** The browser asks before the page is closed: the upload would stop. */
const askBeforeLeaving = (event: BeforeUnloadEvent) => event.preventDefault();

effect(() => {
  if (runningUploads.value.length > 0) globalThis.addEventListener("beforeunload", askBeforeLeaving);
  else globalThis.removeEventListener("beforeunload", askBeforeLeaving);
});
