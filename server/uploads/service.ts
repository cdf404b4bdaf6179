/** Files on their way from browsers to hypervisors: the agent keeps the bytes, the row tells everybody how far they are. */
import type { z } from "zod";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import { type CreateUpload, type Upload, uploadPieceBytes } from "../../contracts/storage.ts";
import { AgentUnreachable } from "../agents/unreachable.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { UploadRow } from "../db/schema.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import * as store from "./store.ts";

const dayMs = 24 * 3600_000;
/** Ended uploads are listed for so long. */
const listedMs = dayMs;
/** As long as the agents keep one that nobody goes on with. */
const abandonedAfterMs = 7 * dayMs;
const gib = 2 ** 30;

/**
 * Begins an upload; its bytes follow in pieces.
 * @throws {AppError} `conflict` over the quota, without space, or with a file of that name; `unavailable`.
 */
export async function createUpload(
  app: App,
  wanted: z.output<typeof CreateUpload>,
  actor: Actor,
): Promise<Upload> {
  const { hypervisorId, fileName, bytes, sha256 } = wanted;
  const hypervisor = await requireHypervisor(app, hypervisorId);
  const agent = app.agents.of(hypervisorId);
  await dropAbandoned(app);
  await requireQuota(app, hypervisorId, hypervisor.name, bytes);
  const now = app.now();
  const row: UploadRow = {
    id: crypto.randomUUID(),
    hypervisor_id: hypervisorId,
    file_name: fileName,
    bytes,
    received_bytes: 0,
    state: "receiving",
    error: null,
    wanted_sha256: sha256 ?? null,
    sha256: null,
    path: null,
    format: null,
    started_by: actor.username,
    started_at: now,
    changed_at: now,
  };
  await store.insertUpload(app.db, row);
  try {
    await agent.beginUpload(row.id, { fileName, bytes, reserveBytes: 0 });
  } catch (error) {
    await store.removeUpload(app.db, row.id);
    throw error;
  }
  await audit(app, {
    actor,
    action: "upload.create",
    subjectId: row.id,
    subjectName: fileName,
    detail: `${bytes} bytes to ${hypervisor.name}`,
  });
  return tell(app, row);
}

/** What uploaded files take: those that are still there, and those under way with all that is to come. */
async function requireQuota(app: App, hypervisorId: string, name: string, bytes: number): Promise<void> {
  const { uploadQuotaGiB } = app.settings.current();
  const refuse = (why: string) => new AppError("conflict", `Upload to ${name}: ${why}`);
  if (uploadQuotaGiB === 0) throw refuse("uploads are switched off. Allow them in the settings.");
  const counted = await store.findCounted(app.db, hypervisorId);
  const stored = new Set((await app.agents.of(hypervisorId).storage()).map(({ path }) => path));
  const usedBytes = counted
    .filter(({ state, path }) => state === "receiving" || path !== null && stored.has(path))
    .reduce((sum, upload) => sum + upload.bytes, 0);
  const leftBytes = uploadQuotaGiB * gib - usedBytes;
  if (bytes <= leftBytes) return;
  const left = `${(Math.max(leftBytes, 0) / gib).toFixed(1)} GiB of ${uploadQuotaGiB} GiB`;
  throw refuse(`the quota has ${left} left. Delete uploaded files, or raise the quota in the settings.`);
}

/** Uploads that are under way or have ended lately, newest first. */
export async function listUploads(app: App): Promise<Upload[]> {
  return (await store.findUploads(app.db, app.now() - listedMs)).map(render);
}

/** How far an upload is, asked of the agent: that is where to go on. */
export async function getUpload(app: App, id: string): Promise<Upload> {
  const row = await requireUpload(app, id);
  if (row.state !== "receiving") return render(row);
  try {
    const { receivedBytes } = await app.agents.of(row.hypervisor_id).upload(id);
    return await change(app, row, { received_bytes: receivedBytes });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "not_found") throw error;
    return await fail(app, row, "The hypervisor has given the upload up. Begin it anew.");
  }
}

/**
 * Hands a piece on to the agent.
 * @throws {AppError} `conflict` telling the right offset, or when the upload has ended; `invalid` for too long a piece.
 */
export async function writePiece(
  app: App,
  id: string,
  offset: number,
  piece: Uint8Array,
  signal: AbortSignal,
): Promise<Upload> {
  const row = await requireReceiving(app, id);
  if (piece.length > uploadPieceBytes) throw new AppError("invalid", "A piece has at most 8 MiB.");
  const agent = app.agents.of(row.hypervisor_id);
  const { receivedBytes } = await agent.writeUpload(id, offset, piece, signal);
  return await change(app, row, { received_bytes: receivedBytes });
}

/**
 * Checks what has arrived and puts it in its place; the same again tells the same.
 * @throws {AppError} `conflict` before all is there; `invalid` when it is not what it should be: the upload has failed.
 */
export async function finishUpload(app: App, id: string, sha256: string, actor: Actor): Promise<Upload> {
  const row = await requireUpload(app, id);
  if (row.state === "done" && row.sha256 === sha256) return render(row);
  await requireReceiving(app, id);
  if (row.wanted_sha256 !== null && row.wanted_sha256 !== sha256) {
    const message = `${row.file_name} was announced with another SHA-256 than it is finished with.`;
    throw new AppError("invalid", message, { details: [{ path: "sha256", message }] });
  }
  try {
    const { path, format } = await app.agents.of(row.hypervisor_id).finishUpload(id, sha256, app.signal);
    await audit(app, {
      actor,
      action: "upload.finish",
      subjectId: id,
      subjectName: row.file_name,
      detail: `${path}, ${format}, SHA-256 ${sha256}`,
    });
    return await change(app, row, { state: "done", received_bytes: row.bytes, path, format, sha256 });
  } catch (error) {
    const ends = error instanceof AppError && !(error instanceof AgentUnreachable) &&
      (error.code === "invalid" || error.code === "not_found");
    if (ends) await fail(app, row, errorInfoOf(error).message);
    throw error;
  }
}

/**
 * Gives an upload up and removes what has arrived; of one that has ended, only the entry in the list goes.
 * @throws {AppError} `not_found`; `unavailable` while its hypervisor is offline.
 */
export async function cancelUpload(app: App, id: string, actor: Actor): Promise<void> {
  const row = await requireUpload(app, id);
  if (row.state === "done") {
    throw new AppError("conflict", `${row.file_name} is in its place already. Delete the file instead.`);
  }
  await app.agents.of(row.hypervisor_id).cancelUpload(id);
  await store.removeUpload(app.db, id);
  const error = row.error ?? "It was cancelled.";
  app.bus.publish({ type: "upload", upload: { ...render(row), state: "failed", error } });
  await audit(app, { actor, action: "upload.cancel", subjectId: id, subjectName: row.file_name });
}

/** Forgets what the agents have given up by now. */
async function dropAbandoned(app: App): Promise<void> {
  for (const row of await store.removeAbandoned(app.db, app.now() - abandonedAfterMs)) {
    app.bus.publish({
      type: "upload",
      upload: { ...render(row), state: "failed", error: "Nobody went on with it for a week." },
    });
  }
}

async function requireUpload(app: App, id: string): Promise<UploadRow> {
  const row = await store.findUpload(app.db, id);
  if (!row) throw new AppError("not_found", "There is no such upload; it may have been cancelled.");
  return row;
}

async function requireReceiving(app: App, id: string): Promise<UploadRow> {
  const row = await requireUpload(app, id);
  if (row.state === "receiving") return row;
  throw new AppError("conflict", `The upload of ${row.file_name} has ended: ${row.error ?? "it is done"}`);
}

async function change(app: App, row: UploadRow, changes: Partial<UploadRow>): Promise<Upload> {
  const now = app.now();
  await store.updateUpload(app.db, row.id, { ...changes, changed_at: now });
  return tell(app, { ...row, ...changes, changed_at: now });
}

const fail = (app: App, row: UploadRow, error: string) => change(app, row, { state: "failed", error });

function tell(app: App, row: UploadRow): Upload {
  const upload = render(row);
  app.bus.publish({ type: "upload", upload });
  return upload;
}

const render = (row: UploadRow): Upload => ({
  id: row.id,
  hypervisorId: row.hypervisor_id,
  fileName: row.file_name,
  bytes: row.bytes,
  receivedBytes: row.received_bytes,
  state: row.state,
  error: row.error,
  startedBy: row.started_by,
  startedAt: row.started_at,
  path: row.path,
  format: row.format,
  sha256: row.sha256,
});
