/** Files on a hypervisor: what lies there, whose it is, and bringing files in and out. */
import { z } from "zod";
import { AbsolutePath, Bytes, Id, UnixMs } from "./common.ts";

/**
 * version: of an initial's image; overlay: a machine's disk on an image; disk: a machine's stand-alone disk;
 * data: a personal data disk; iso; import: a disk image that nothing uses; scratch: writes of a virtual snapshot;
 * partial: of a copy or an upload that is not whole; stray: an overlay or version that belongs to nothing known.
 */
export const FileKind = z.enum([
  "version",
  "overlay",
  "disk",
  "data",
  "iso",
  "import",
  "scratch",
  "partial",
  "stray",
]);
export type FileKind = z.infer<typeof FileKind>;

/** A file in one of the agent's directories, as the agent sees it. */
export const StoredFile = z.object({
  path: z.string(),
  kind: FileKind,
  format: z.string(),
  /** Taken on the disk; the length of a sparse file may be far more. */
  allocatedBytes: Bytes,
  virtualBytes: Bytes,
  backingPath: z.string().nullable(),
  modifiedAt: UnixMs,
  domainIds: z.array(Id).describe("domains that use it, as their disk, below it or in their CD drive"),
  version: z.int().nullable(),
  inUse: z.boolean().describe("something depends on it, or a job writes it: it cannot be deleted"),
});
export type StoredFile = z.infer<typeof StoredFile>;

/** The same with what the dashboard knows about it. */
export const StorageFile = StoredFile.extend({
  ownerId: Id.nullable().describe("the machine that it belongs to"),
  ownerName: z.string().nullable(),
  removable: z.boolean(),
  reason: z.string().describe("why it is there, or why it can go"),
});
export type StorageFile = z.infer<typeof StorageFile>;

export const StorageReport = z.object({
  hypervisorId: Id,
  readAt: UnixMs,
  totals: z.array(z.object({ kind: FileKind, count: z.int(), allocatedBytes: Bytes })),
  files: z.array(StorageFile),
});
export type StorageReport = z.infer<typeof StorageReport>;

export const DeleteFiles = z.object({ paths: z.array(AbsolutePath).min(1).max(1000) });
export const DeletedFiles = z.object({
  items: z.array(z.object({ path: z.string(), deleted: z.boolean(), message: z.string().nullable() })),
});

/** What tells whether two hypervisors see one and the same file: on shared storage all of it is equal. */
export const FileIdentity = z.object({
  path: z.string(),
  bytes: Bytes,
  modifiedAt: UnixMs,
  format: z.string(),
  backingPath: z.string().nullable(),
  virtualBytes: Bytes,
  headSha256: z.string().describe("of the first 64 KiB"),
});
export type FileIdentity = z.infer<typeof FileIdentity>;

/** A name for a file in the image or ISO directory; never a path. */
export const FileName = z.string().regex(
  /^[A-Za-z0-9]([A-Za-z0-9._+ ()-]{0,198}[A-Za-z0-9])$/,
  "use letters, digits, blanks and . _ + - ( ), at most 200 characters",
).refine((name) => /\.(iso|qcow2|raw|img|vmdk|vdi|vhdx)$/i.test(name), {
  message: "must end in .iso, .qcow2, .raw, .img, .vmdk, .vdi or .vhdx",
});

/** A file on its way from a browser to a hypervisor. It goes on where it stopped, also after a restart of either side. */
export const Upload = z.object({
  id: Id,
  hypervisorId: Id,
  fileName: z.string(),
  bytes: Bytes,
  receivedBytes: Bytes,
  state: z.enum(["receiving", "done", "failed"]),
  error: z.string().nullable(),
  startedBy: z.string(),
  startedAt: UnixMs,
  path: z.string().nullable().describe("once it is done"),
  format: z.string().nullable().describe("as it was found out from the contents"),
  sha256: z.string().nullable(),
});
export type Upload = z.infer<typeof Upload>;
export const CreateUpload = z.object({
  hypervisorId: Id,
  fileName: FileName,
  bytes: Bytes.min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional().describe(
    "checked at the end, if it is known already",
  ),
});
export const FinishUpload = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hex digits"),
});
/** A piece of an upload is at most this long. */
export const uploadPieceBytes = 8 * 1024 * 1024;

/** A disk for a user's or a machine's own files: it survives populate and virtual snapshots. */
export const DataDisk = z.object({
  id: Id,
  scope: z.enum(["machine", "user"]),
  machineId: Id.nullable(),
  userId: Id.nullable(),
  ownerName: z.string().describe("the machine's or the user's name"),
  hypervisorId: Id,
  bytes: Bytes,
  attachedTo: z.object({ id: Id, name: z.string() }).nullable(),
  createdAt: UnixMs,
});
export type DataDisk = z.infer<typeof DataDisk>;
/** What a pool gives its users, or null for none. */
export const DataDiskPolicy = z.object({
  scope: z.enum(["machine", "user"]),
  bytes: Bytes.min(16 * 1024 * 1024).max(64 * 2 ** 40),
});
export type DataDiskPolicy = z.infer<typeof DataDiskPolicy>;
