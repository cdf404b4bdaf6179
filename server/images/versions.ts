/** Versions of an initial's image: which there are, which is current, and what they are called. */
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { ImageVersionRow, MachineRow } from "../db/schema.ts";
import { aRole, findMachineRows, requireMachine } from "../machines/service.ts";
import { inTurn } from "./turns.ts";
import * as store from "./versions_store.ts";

/** @throws {AppError} `not_found`. */
export async function requireVersion(app: Pick<App, "db">, id: string): Promise<ImageVersionRow> {
  const row = await store.findVersion(app.db, id);
  if (!row) throw new AppError("not_found", "There is no such version; it may have been deleted.");
  return row;
}

/** A version with the initial that it belongs to. @throws {AppError} `not_found`. */
export async function requireVersionAndInitial(
  app: Pick<App, "db">,
  id: string,
): Promise<{ version: ImageVersionRow; initial: MachineRow }> {
  const version = await requireVersion(app, id);
  return { version, initial: await requireMachine(app, version.initial_id) };
}

/** @throws {AppError} `not_found` for another role too: an image is an initial's. */
export async function requireInitial(app: Pick<App, "db">, id: string): Promise<MachineRow> {
  const [row] = await findMachineRows(app, [id]);
  if (row?.role === "initial") return row;
  const what = row ? `${row.name} is ${aRole(row.role)}` : "There is no such machine";
  throw new AppError("not_found", `${what}: only an initial has an image.`);
}

/** `win-gold version 3`. */
export const nameOf = (initial: { name: string }, version: { number: number }): string =>
  `${initial.name} version ${version.number}`;

/** Tells that something about an image is different now. */
export function tellImage(app: Pick<App, "bus">, initialId: string): void {
  app.bus.publish({ type: "image", id: initialId });
}

/** A number that no version of the initial has, nor the file that it boots from. */
async function nextNumber(app: Pick<App, "db">, initial: MachineRow): Promise<number> {
  const [newest] = await store.findVersionsOf(app.db, [initial.id]);
  return Math.max(newest?.number ?? 0, numberInPath(initial.disk_path) ?? 0) + 1;
}

/** `3` of `/images/golden-1a2b3c4d.v3.qcow2`. */
export function numberInPath(path: string | null): number | null {
  const number = /\.v(\d{1,9})\.qcow2$/.exec(path ?? "")?.[1];
  return number === undefined ? null : Number(number);
}

/** A version of which nothing is there yet. */
export function beginVersion(
  app: App,
  initial: MachineRow,
  origin: { note: string; hypervisorIds: string[]; by: string | null },
): Promise<ImageVersionRow> {
  return inTurn(app, `number ${initial.id}`, () => insertNext(app, initial, origin));
}

async function insertNext(
  app: App,
  initial: MachineRow,
  { note, hypervisorIds, by }: { note: string; hypervisorIds: string[]; by: string | null },
): Promise<ImageVersionRow> {
  const row: ImageVersionRow = {
    id: crypto.randomUUID(),
    initial_id: initial.id,
    number: await nextNumber(app, initial),
    state: "copying",
    booted: 0,
    pinned: 0,
    sha256: null,
    virtual_bytes: 0,
    note,
    hypervisor_ids: JSON.stringify(hypervisorIds),
    created_at: app.now(),
    created_by: by,
    sealed_at: null,
    published_at: null,
  };
  await store.insertVersion(app.db, row);
  tellImage(app, initial.id);
  return row;
}

/** The disk of an existing domain that becomes an initial is its first version. */
export async function adoptVersion(app: App, initialId: string): Promise<void> {
  const initial = await requireMachine(app, initialId);
  const known = await store.findVersionsOf(app.db, [initialId]);
  if (initial.role !== "initial" || initial.disk_path === null || known.length > 0) return;
  const row = await beginVersion(app, initial, { note: "As it was imported", hypervisorIds: [], by: null });
  await settleDraft(app, row, initial, {
    path: initial.disk_path,
    virtualBytes: initial.disk_bytes ?? 0,
    allocatedBytes: 0,
  });
}

/** A version is whole: its initial boots from it, and the first one is current by itself. */
export async function settleDraft(
  app: App,
  version: ImageVersionRow,
  initial: MachineRow,
  file: { path: string; virtualBytes: number; allocatedBytes: number },
): Promise<void> {
  const { db } = app;
  await store.putCopy(db, {
    version_id: version.id,
    hypervisor_id: initial.hypervisor_id,
    path: file.path,
    state: "present",
    error: null,
    allocated_bytes: file.allocatedBytes,
  });
  await store.updateVersionRow(db, version.id, { state: "draft", virtual_bytes: file.virtualBytes });
  await store.makeFirstCurrent(db, version, app.now());
  tellImage(app, initial.id);
}

/**
 * The version that clones are made on. Without a current one, the newest becomes it.
 * @throws {AppError} `conflict` while there is no version that is whole.
 */
export async function currentVersion(app: App, initial: MachineRow): Promise<ImageVersionRow> {
  const { current_version_id: id } = await requireMachine(app, initial.id);
  const current = id === null ? null : await store.findVersion(app.db, id);
  if (current) return current;
  const versions = await store.findVersionsOf(app.db, [initial.id]);
  const newest = versions.find(({ state }) => state === "draft" || state === "sealed");
  if (!newest) {
    throw new AppError(
      "conflict",
      `${initial.name} has no disk yet, so nothing can be populated from it. Copy the disk from its source first.`,
    );
  }
  await store.makeFirstCurrent(app.db, newest, app.now());
  tellImage(app, initial.id);
  return newest;
}

/** The version that a clone is on, if its file is there. */
export async function copyBelow(
  app: Pick<App, "db">,
  clone: MachineRow,
): Promise<{ versionId: string; path: string } | null> {
  if (clone.version_id === null) return null;
  const copy = await store.findCopy(app.db, clone.version_id, clone.hypervisor_id);
  return copy?.state === "present" ? { versionId: clone.version_id, path: copy.path } : null;
}

/** Which version lies at each of these paths of a hypervisor. */
export function findVersionIdsAt(
  app: Pick<App, "db">,
  hypervisorId: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  return store.findVersionIdsAt(app.db, hypervisorId, paths);
}

/**
 * A sealed version is never written again, so its initial cannot be started on it.
 * @throws {AppError} `conflict` saying what to do instead.
 */
export async function requireUnsealed(app: Pick<App, "db">, initial: MachineRow): Promise<void> {
  const version = initial.version_id === null ? null : await store.findVersion(app.db, initial.version_id);
  if (version?.state !== "sealed") return;
  throw new AppError(
    "conflict",
    `${initial.name} cannot be started: version ${version.number} of its image is sealed. Copy the source's disk ` +
      "for a new version, reopen this one if nothing is based on it, or turn the virtual snapshot on.",
  );
}
