import { z } from "zod";
import { AbsolutePath, Bytes, Id, ListQuery, Mac, Name, Notes, UnixMs } from "./common.ts";

/** simple: not part of VDI; source: where the OS is installed; initial: golden image; vdi: linked clone for users. */
export const Role = z.enum(["simple", "source", "initial", "vdi"]);
export type Role = z.infer<typeof Role>;

export const MachineState = z.enum(["running", "shut-off", "paused", "suspended", "crashed", "unknown"]);
export type MachineState = z.infer<typeof MachineState>;

export const OsType = z.enum(["linux", "windows"]);
export type OsType = z.infer<typeof OsType>;

export const VideoModel = z.enum(["qxl", "virtio"]);
export type VideoModel = z.infer<typeof VideoModel>;
export const Vcpus = z.int().min(1).max(256);
export const MemoryMiB = z.int().min(64).max(4 * 1024 * 1024);

/** Where a new machine's disk comes from. */
export const DiskSource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("blank"), bytes: Bytes.min(1024 * 1024) }).describe("an empty qcow2 disk"),
  z.object({ kind: z.literal("import"), path: AbsolutePath }).describe(
    "a copy of a qcow2 or raw image that is on the hypervisor",
  ),
  z.object({ kind: z.literal("domain"), domainId: Id }).describe(
    "an existing libvirt domain, kept as it is with its disks",
  ),
  z.object({ kind: z.literal("none") }).describe(
    "no disk yet: an initial before its first copy, a vdi before populate",
  ),
]);
export type DiskSource = z.infer<typeof DiskSource>;

export const Machine = z.object({
  id: Id.describe("also the UUID of the libvirt domain"),
  name: Name,
  role: Role,
  osType: OsType,
  hypervisorId: Id,
  sourceId: Id.nullable().describe("of an initial: its source; of a vdi: its initial"),
  state: MachineState,
  stateReason: z.string().nullable().describe("libvirt's reason, for example 'destroyed' or 'crashed'"),
  maintenance: z.boolean(),
  locked: z.boolean().describe("held back by an admin's lock; never given to users and not deletable"),
  virtualSnapshot: z.boolean(),
  vcpus: Vcpus,
  memoryMiB: MemoryMiB,
  mac: Mac.nullable(),
  network: z.string(),
  video: VideoModel,
  iso: z.string().nullable().describe("path of the attached ISO image"),
  diskBytes: Bytes.nullable().describe("virtual size of the first disk"),
  populatedAt: UnixMs.nullable().describe("of a vdi: when its overlay was made"),
  outdated: z.boolean().describe("of a vdi: its overlay is on an older version of the initial's image"),
  imageVersion: z.object({ id: Id, number: z.int() }).nullable().describe(
    "of a vdi: what its overlay lies on; of an initial: what it boots from",
  ),
  dataDisk: z.object({ id: Id, scope: z.enum(["machine", "user"]), bytes: Bytes }).nullable().describe(
    "the personal data disk that is attached",
  ),
  keptFor: z.object({ userId: Id, username: z.string(), until: UnixMs }).nullable().describe(
    "its user lost it with its hypervisor; their work is kept until then",
  ),
  queuedStart: z.int().nullable().describe("place in the queue of starts of its hypervisor, from 1"),
  addresses: z.array(z.string()),
  guestAgent: z.boolean().describe("the guest agent answers"),
  cpuPercent: z.number().nullable().describe("of all its vCPUs, while running"),
  memoryUsedMiB: z.int().nullable(),
  viewers: z.int().describe("open display connections"),
  pendingAction: z.string().nullable().describe(
    "a power action that has been asked for and not yet happened",
  ),
  jobId: Id.nullable().describe("the open job on this machine"),
  desktopPools: z.array(z.object({ id: Id, name: z.string() })),
  lease: z.object({ id: Id, userId: Id, username: z.string(), since: UnixMs }).nullable(),
  cloneCount: z.int().describe("of an initial or source: machines derived from it"),
  notes: Notes,
  createdAt: UnixMs,
  updatedAt: UnixMs,
});
export type Machine = z.infer<typeof Machine>;

/**
 * Creates one machine, or `count` of them. With a count, `name` holds `{n}`, the place of the counter:
 * `lab-{n}` with count 3 makes lab-1, lab-2, lab-3; `{nn}` pads to two digits. Counting continues after taken names.
 */
export const CreateMachine = z.object({
  name: z.string().min(1).max(63),
  count: z.int().min(1).max(500).default(1),
  role: Role,
  hypervisorId: Id.optional().describe("default: the only hypervisor, or the initial's"),
  hypervisorIds: z.array(Id).min(1).max(100).optional().describe(
    "vdi: spread them over these, by free capacity; instead of hypervisorId",
  ),
  sourceId: Id.nullable().optional().describe("required for initial (a source) and vdi (an initial)"),
  osType: OsType.optional().describe("default: the source's, else linux"),
  vcpus: Vcpus.optional().describe("default: the source's, else 2"),
  memoryMiB: MemoryMiB.optional().describe("default: the source's, else 2048"),
  disk: DiskSource.optional().describe("simple and source: required; initial and vdi: none"),
  iso: AbsolutePath.nullable().optional(),
  network: z.string().min(1).max(64).optional().describe(
    "libvirt network name, 'bridge:NAME' or 'none'; default: the hypervisor's",
  ),
  video: VideoModel.optional(),
  virtualSnapshot: z.boolean().default(false),
  maintenance: z.boolean().default(false),
  copyDisk: z.boolean().default(false).describe("initial: copy the disk from the source at once"),
  populate: z.boolean().default(false).describe("vdi: make the overlay at once"),
  notes: Notes.default(""),
});
export type CreateMachine = z.input<typeof CreateMachine>;

export const UpdateMachine = z.object({
  name: Name,
  vcpus: Vcpus,
  memoryMiB: MemoryMiB,
  network: z.string().min(1).max(64),
  video: VideoModel,
  iso: AbsolutePath.nullable().describe("null ejects"),
  osType: OsType,
  maintenance: z.boolean(),
  locked: z.boolean(),
  virtualSnapshot: z.boolean(),
  notes: Notes,
}).partial();
export type UpdateMachine = z.infer<typeof UpdateMachine>;

export const PowerAction = z.enum(["start", "shutdown", "reboot", "destroy", "suspend", "resume"]);
export type PowerAction = z.infer<typeof PowerAction>;

export const PowerRequest = z.object({
  action: PowerAction,
  timeoutSeconds: z.int().min(1).max(3600).optional().describe("of shutdown: how long the guest may take"),
  force: z.boolean().optional().describe("of shutdown: destroy the machine when the time is up"),
});
export type PowerRequest = z.infer<typeof PowerRequest>;

export const BulkAction = z.enum([
  "start",
  "shutdown",
  "reboot",
  "destroy",
  "maintenance-on",
  "maintenance-off",
  "virtual-snapshot-on",
  "virtual-snapshot-off",
  "populate",
  "delete",
]);
export type BulkAction = z.infer<typeof BulkAction>;
export const BulkRequest = z.object({ ids: z.array(Id).min(1).max(2000), action: BulkAction });

export const MoveMachine = z.object({ hypervisorId: Id });
export const CopyMachine = z.object({ hypervisorId: Id, name: Name });
export const ResizeDisk = z.object({ bytes: Bytes.min(1024 * 1024) });
export const PutDataDisk = z.object({ bytes: Bytes.min(16 * 1024 * 1024) });

export const MachineSort = z.enum(["name", "role", "state", "hypervisor", "createdAt", "memoryMiB"]);
export const MachineQuery = ListQuery.extend({
  role: Role.optional(),
  state: MachineState.optional(),
  hypervisorId: Id.optional(),
  desktopPoolId: Id.optional(),
  sourceId: Id.optional(),
  sort: MachineSort.default("name"),
  order: z.enum(["asc", "desc"]).default("asc"),
});
export type MachineQuery = z.input<typeof MachineQuery>;

/** One image file of a machine's disk, from the active layer down to the base. */
export const DiskLayer = z.object({
  path: z.string(),
  format: z.string(),
  virtualBytes: Bytes,
  allocatedBytes: Bytes,
  kind: z.enum(["scratch", "overlay", "image", "missing"]),
});
export type DiskLayer = z.infer<typeof DiskLayer>;
export const MachineDisk = z.object({
  target: z.string().describe("device name in the guest, as vda"),
  bus: z.string(),
  device: z.enum(["disk", "cdrom"]),
  chain: z.array(DiskLayer),
});
export type MachineDisk = z.infer<typeof MachineDisk>;
