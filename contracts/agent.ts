/**
 * The agent API: HTTP over the agent's unix socket, JSON in and out, errors as in errors.ts.
 *
 *   GET    /hello                     -> Hello
 *   GET    /events                    -> newline-delimited AgentEvent; the first is a snapshot
 *   GET    /domains/:id/xml           -> the live XML, without secrets (text/xml)
 *   GET    /domains/:id/disks         -> MachineDisk[]
 *   GET    /domains/:id/screenshot    -> image/png
 *   POST   /domains/:id/power         PowerCommand  -> Domain (after the action was carried out or, for shutdown, asked for)
 *   PATCH  /domains/:id               EditCommand   -> Domain
 *   POST   /domains/:id/ticket        TicketCommand -> DisplayTicket
 *   POST   /domains/:id/kick          -> {} (closes every display connection)
 *   PUT    /domains/:id/disk          DiskCommand -> Domain;  PUT /domains/:id/data-disk DataDiskCommand -> Domain
 *   POST   /files/unseal              {path} -> {}
 *   GET    /image-files               -> ImageFile[] in the ISO and image directories
 *   GET    /storage                   -> StoredFile[]: every file in the agent's directories
 *   GET    /file-identity?path=       -> FileIdentity
 *   POST   /files/delete              DeleteFiles -> DeletedFiles; only files in its directories that nothing uses
 *   GET    /files/content?path=       -> the bytes of a file (Range: bytes=N- goes on from there)
 *   GET    /image-stream?path=&from=  -> frames of a file (agent/images/frames.ts) from this offset on, for a relay
 *   GET    /transfers/:jobId          -> Receiving, of a receive-image job
 *   PUT    /transfers/:jobId?from=    <- the same frames
 *   GET    /uploads/:id               -> UploadPart;  PUT /uploads/:id?offset= <- bytes -> UploadPart
 *   POST   /uploads/:id               BeginUpload -> UploadPart (the same id again: the same)
 *   POST   /uploads/:id/finish        FinishUpload -> FinishedUpload;  DELETE /uploads/:id
 *   PATCH  /settings                  Partial<AgentSettings> -> AgentSettings
 *   PUT    /executable?sha256=        <- the new executable -> {}; then the agent waits for its jobs and restarts as it
 *   POST   /jobs                      AgentJobRequest -> AgentJob (202; the same id again answers the same job)
 *   GET    /jobs  GET /jobs/:id  DELETE /jobs/:id (cancels)
 */
import { z } from "zod";
import { AbsolutePath, Bytes, Id, Mac, Name, UnixMs } from "./common.ts";
import { ErrorInfo } from "./errors.ts";
import { AgentSettings, HostFacts, HostLoad, ImageFile } from "./hypervisor.ts";
import { JobItem, JobState, Progress } from "./job.ts";
import { type DeletedFiles, type FileIdentity, FileName, type StoredFile } from "./storage.ts";
import {
  MachineDisk,
  MachineState,
  MemoryMiB,
  OsType,
  PowerAction,
  Role,
  Vcpus,
  VideoModel,
} from "./machine.ts";

/** Raised whenever dashboard and agent of neighbouring versions would misunderstand each other. */
export const agentContract = 2;

export const Hello = z.object({
  contract: z.int(),
  version: z.string(),
  commit: z.string(),
  hostname: z.string(),
  pid: z.int(),
  startedAt: UnixMs,
});
export type Hello = z.infer<typeof Hello>;

export const DomainDisk = z.object({
  target: z.string(),
  device: z.enum(["disk", "cdrom"]),
  path: z.string().nullable().describe(
    "of the persistent definition: the overlay or image, never the scratch file",
  ),
  virtualBytes: Bytes.nullable(),
  backingPath: z.string().nullable(),
});

/** A libvirt domain, managed by KVM-VDI or not. */
export const Domain = z.object({
  id: Id,
  name: z.string(),
  managed: z.boolean(),
  role: Role.nullable().describe("as recorded in the domain's metadata"),
  state: MachineState,
  stateReason: z.string().nullable(),
  persistent: z.boolean(),
  osType: OsType.nullable(),
  vcpus: z.int(),
  memoryMiB: z.int(),
  mac: Mac.nullable(),
  network: z.string().nullable(),
  video: z.string().nullable(),
  iso: z.string().nullable(),
  disks: z.array(DomainDisk),
  displays: z.array(z.enum(["spice", "vnc"])),
  viewers: z.array(z.object({ address: z.string(), since: UnixMs })),
  guestAgent: z.boolean(),
  addresses: z.array(z.string()).describe("the guest's own, from its agent or the network's leases"),
  virtualSnapshot: z.boolean().describe("runs on a scratch overlay now"),
  pendingAction: PowerAction.nullable(),
});
export type Domain = z.infer<typeof Domain>;

export const DomainLoad = z.object({
  id: Id,
  cpuPercent: z.number().describe("of all its vCPUs"),
  memoryUsedMiB: z.int(),
});
export type DomainLoad = z.infer<typeof DomainLoad>;

/** What a new domain is made of. The display is SPICE, closed until a ticket opens it. */
export const MachineSpec = z.object({
  id: Id,
  name: Name,
  role: Role,
  osType: OsType,
  vcpus: Vcpus,
  memoryMiB: MemoryMiB,
  mac: Mac.nullable().describe("null: the agent picks one"),
  network: z.string(),
  video: VideoModel,
  iso: AbsolutePath.nullable(),
});
export type MachineSpec = z.infer<typeof MachineSpec>;

export const PowerCommand = z.object({
  action: PowerAction,
  virtualSnapshot: z.boolean().default(false).describe(
    "of start: write to a scratch overlay that is dropped at power off and reboot",
  ),
  timeoutSeconds: z.int().min(1).max(3600).default(60),
  force: z.boolean().default(false),
});
export type PowerCommand = z.input<typeof PowerCommand>;

/** Switches a machine's first disk to another image of the agent's own, or the version that an initial boots from. */
export const DiskCommand = z.object({ path: AbsolutePath, imageVersion: z.int().min(0) });

/** What can be changed. vcpus, memory, name, video and network need the machine shut off; the ISO does not. */
export const EditCommand = z.object({
  name: Name,
  vcpus: Vcpus,
  memoryMiB: MemoryMiB,
  network: z.string(),
  video: VideoModel,
  osType: OsType,
  iso: AbsolutePath.nullable(),
}).partial();
export type EditCommand = z.infer<typeof EditCommand>;

export const TicketCommand = z.object({ ttlSeconds: z.int().min(5).max(600) });
/** A display that listens on the hypervisor, and the password that opens it until `expiresAt`. */
export const DisplayTicket = z.object({
  protocol: z.enum(["spice", "vnc"]),
  host: z.string(),
  port: z.int(),
  password: z.string().max(59),
  expiresAt: UnixMs,
  direct: z.boolean().optional().describe("it listens on the network too, not only on the loopback"),
});
export type DisplayTicket = z.infer<typeof DisplayTicket>;

export const CreateMachineOperation = z.object({
  kind: z.literal("create-machine"),
  machine: MachineSpec,
  disk: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("blank"), bytes: Bytes }),
    z.object({ kind: z.literal("import"), path: AbsolutePath }),
    z.object({ kind: z.literal("domain") }).describe("adopt the existing domain whose UUID is machine.id"),
    z.object({ kind: z.literal("own"), path: AbsolutePath, basePath: AbsolutePath.nullable() }).describe(
      "a file that a receive-image or copy-image job put there for this machine; of an overlay, with its base here",
    ),
    z.object({ kind: z.literal("none") }),
  ]),
});
/** Removes the domain and, unless it was adopted, its own disk files; never a file that something else uses. */
export const DeleteMachineOperation = z.object({
  kind: z.literal("delete-machine"),
  machineId: Id,
  keepDisks: z.boolean().default(false),
});
/**
 * Copies the first disk of one shut-off machine to a new image file of another, then switches that machine to it.
 * The new file has its own name (a version), so overlays of the old image stay valid until they are populated.
 * Result: ImageResult.
 */
export const CopyDiskOperation = z.object({
  kind: z.literal("copy-disk"),
  fromId: Id,
  toId: Id,
  version: z.int().positive().optional().describe("its number; default: the next one"),
});
/** (Re)creates the overlay of each vdi on an image. Result: one item per machine. */
export const PopulateOperation = z.object({
  kind: z.literal("populate"),
  initialId: Id,
  basePath: AbsolutePath.nullable().default(null).describe(
    "the version's file here; null: the disk of the initial, which is on this host then",
  ),
  machineIds: z.array(Id).min(1).max(2000),
});

/** Where an image file goes; the agent makes the path of it, in its image directory. */
export const ImageTarget = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("version"), initialId: Id, name: Name, version: z.int().positive() }),
  z.object({ kind: z.literal("machine"), machineId: Id, name: Name }),
  z.object({ kind: z.literal("data"), diskId: Id, name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/) }),
]);
export type ImageTarget = z.infer<typeof ImageTarget>;
/** What a file is once it is whole. */
export const ImageResult = z.object({
  path: z.string(),
  version: z.int().nullable(),
  format: z.string(),
  virtualBytes: Bytes,
  allocatedBytes: Bytes,
  bytes: Bytes.describe("length of the file"),
  sha256: z.string().nullable().describe("of the file's bytes, where they were all read"),
});
export type ImageResult = z.infer<typeof ImageResult>;

/** A file that this host sees too (shared storage) is copied to a place of the agent's. Result: ImageResult. */
export const CopyImageOperation = z.object({
  kind: z.literal("copy-image"),
  fromPath: AbsolutePath,
  to: ImageTarget,
  asIs: z.boolean().default(false).describe(
    "byte for byte, keeping a backing file; else one stand-alone qcow2",
  ),
  sha256: z.string().nullable().default(null),
});
/** Makes a version final: nothing runs on it or writes it, it becomes read-only. Result: ImageResult with sha256. */
export const SealOperation = z.object({ kind: z.literal("seal"), path: AbsolutePath });
/**
 * Waits for the bytes of a file from another agent, straight over TLS or through the dashboard, and puts it in its place
 * once it is whole and its checksum is right. An interrupted sender goes on where it stopped. Result: ImageResult.
 */
export const ReceiveImageOperation = z.object({
  kind: z.literal("receive-image"),
  to: ImageTarget,
  bytes: Bytes,
  allocatedBytes: Bytes.describe("what it will take, at most"),
  sha256: z.string().nullable(),
  direct: z.boolean().describe("listen for the sending agent; else only the dashboard's relay brings it"),
});
/** How far a receive-image job is, and where it listens. */
export const Receiving = z.object({
  receivedBytes: Bytes,
  direct: z.object({
    port: z.int(),
    certificate: z.string().describe("PEM; the only one to trust"),
    token: z.string(),
  }).nullable(),
});
export type Receiving = z.infer<typeof Receiving>;
/** Sends a file to a receiving agent. The first host that answers is taken. @throws `unavailable` when none does */
export const SendImageOperation = z.object({
  kind: z.literal("send-image"),
  path: AbsolutePath,
  jobId: Id.describe("of the receiver"),
  hosts: z.array(z.string()).min(1),
  port: z.int(),
  certificate: z.string(),
  token: z.string(),
});
/** Makes a machine stand-alone: its chain becomes one image of its own, its role `simple`. Result: ImageResult. */
export const FlattenOperation = z.object({ kind: z.literal("flatten"), machineId: Id });
/** Grows a disk, also of a running machine; never shrinks one. */
export const ResizeDiskOperation = z.object({ kind: z.literal("resize-disk"), machineId: Id, bytes: Bytes });
/** Makes, moves away or removes a personal data disk's file. Attaching is `POST /domains/:id/data-disk`. */
export const CreateDataDiskOperation = z.object({
  kind: z.literal("create-data-disk"),
  diskId: Id,
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  bytes: Bytes,
});
/** null detaches. Of a running machine it is done live; the guest must have let go of it. */
export const DataDiskCommand = z.object({ path: AbsolutePath.nullable() });
export const AgentOperation = z.discriminatedUnion("kind", [
  CreateMachineOperation,
  DeleteMachineOperation,
  CopyDiskOperation,
  PopulateOperation,
  CopyImageOperation,
  SealOperation,
  ReceiveImageOperation,
  SendImageOperation,
  FlattenOperation,
  ResizeDiskOperation,
  CreateDataDiskOperation,
]);
export type AgentOperation = z.input<typeof AgentOperation>;

export const AgentJobRequest = z.object({ id: Id, operation: AgentOperation });
export type AgentJobRequest = z.input<typeof AgentJobRequest>;

export const AgentJob = Progress.extend({
  id: Id,
  kind: z.enum([
    "create-machine",
    "delete-machine",
    "copy-disk",
    "populate",
    "copy-image",
    "seal",
    "receive-image",
    "send-image",
    "flatten",
    "resize-disk",
    "create-data-disk",
  ]),
  result: ImageResult.nullable(),
  state: JobState,
  error: ErrorInfo.nullable(),
  items: z.array(JobItem),
  cancellable: z.boolean(),
  startedAt: UnixMs.nullable(),
  endedAt: UnixMs.nullable(),
});
export type AgentJob = z.infer<typeof AgentJob>;

export const LibvirtStatus = z.object({
  connected: z.boolean(),
  since: UnixMs,
  reason: z.string().nullable().describe("why it is not connected, and what to do"),
});
export type LibvirtStatus = z.infer<typeof LibvirtStatus>;

/** One line of /events. After `snapshot`, everything is a change to it. */
export const AgentEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("snapshot"),
    hello: Hello,
    libvirt: LibvirtStatus,
    facts: HostFacts,
    load: HostLoad,
    domains: z.array(Domain),
    jobs: z.array(AgentJob),
  }),
  z.object({ type: z.literal("domain"), domain: Domain }),
  z.object({ type: z.literal("domain-removed"), id: Id }),
  z.object({ type: z.literal("domains"), domains: z.array(Domain) }).describe("all of them, after a resync"),
  z.object({
    type: z.literal("display"),
    id: Id,
    event: z.enum(["connected", "disconnected"]),
    address: z.string(),
  }),
  z.object({ type: z.literal("job"), job: AgentJob }),
  z.object({ type: z.literal("load"), load: HostLoad, domains: z.array(DomainLoad) }),
  z.object({ type: z.literal("facts"), facts: HostFacts }),
  z.object({ type: z.literal("libvirt"), libvirt: LibvirtStatus }),
  z.object({ type: z.literal("heartbeat"), at: UnixMs }).describe("every 5 s when nothing else was sent"),
]);
export type AgentEvent = z.infer<typeof AgentEvent>;

export const BeginUpload = z.object({ fileName: FileName, bytes: Bytes, reserveBytes: Bytes.default(0) });
export const UploadPart = z.object({ receivedBytes: Bytes, bytes: Bytes });
export type UploadPart = z.infer<typeof UploadPart>;
export const FinishedUpload = z.object({ path: z.string(), format: z.string(), virtualBytes: Bytes });
export type FinishedUpload = z.infer<typeof FinishedUpload>;
export interface FileBytes {
  totalBytes: number;
  bytes: AsyncIterable<Uint8Array>;
}

/** The agent as the dashboard calls it: over the socket, over SSH, or a fake in tests. Every call can be aborted. */
export interface Agent {
  hello(signal?: AbortSignal): Promise<Hello>;
  events(signal: AbortSignal): AsyncIterable<AgentEvent>;
  xml(id: string, signal?: AbortSignal): Promise<string>;
  disks(id: string, signal?: AbortSignal): Promise<MachineDisk[]>;
  screenshot(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  power(id: string, command: PowerCommand, signal?: AbortSignal): Promise<Domain>;
  edit(id: string, command: EditCommand, signal?: AbortSignal): Promise<Domain>;
  ticket(id: string, command: z.infer<typeof TicketCommand>, signal?: AbortSignal): Promise<DisplayTicket>;
  kick(id: string, signal?: AbortSignal): Promise<void>;
  imageFiles(signal?: AbortSignal): Promise<ImageFile[]>;
  setDisk(id: string, command: z.infer<typeof DiskCommand>, signal?: AbortSignal): Promise<Domain>;
  setDataDisk(id: string, command: z.infer<typeof DataDiskCommand>, signal?: AbortSignal): Promise<Domain>;
  storage(signal?: AbortSignal): Promise<StoredFile[]>;
  /** @throws {AppError} `not_found` */
  fileIdentity(path: string, signal?: AbortSignal): Promise<FileIdentity>;
  deleteFiles(paths: string[], signal?: AbortSignal): Promise<z.infer<typeof DeletedFiles>>;
  /** Makes a sealed version a draft again. @throws {AppError} `conflict` while anything is based on it */
  unseal(path: string, signal?: AbortSignal): Promise<void>;
  /** The bytes of a file from an offset on; ends early when the connection does. */
  readFile(path: string, from: number, signal: AbortSignal): Promise<FileBytes>;
  /** Frames for `sendStream` of another agent. */
  imageStream(path: string, from: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  receiving(jobId: string, signal?: AbortSignal): Promise<Receiving>;
  /** Resolves once the receiver has taken all frames. */
  sendStream(
    jobId: string,
    from: number,
    frames: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>;
  beginUpload(id: string, upload: z.infer<typeof BeginUpload>, signal?: AbortSignal): Promise<UploadPart>;
  upload(id: string, signal?: AbortSignal): Promise<UploadPart>;
  /** @throws {AppError} `conflict` unless `offset` is where it stopped */
  writeUpload(id: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<UploadPart>;
  finishUpload(id: string, sha256: string, signal?: AbortSignal): Promise<FinishedUpload>;
  cancelUpload(id: string, signal?: AbortSignal): Promise<void>;
  changeSettings(settings: Partial<AgentSettings>, signal?: AbortSignal): Promise<AgentSettings>;
  /** Resolves once the new executable is in place and has said its version; the restart follows. */
  updateExecutable(
    executable: { sha256: string; bytes: AsyncIterable<Uint8Array>; length: number },
    signal?: AbortSignal,
  ): Promise<void>;
  startJob(request: AgentJobRequest, signal?: AbortSignal): Promise<AgentJob>;
  jobs(signal?: AbortSignal): Promise<AgentJob[]>;
  cancelJob(id: string, signal?: AbortSignal): Promise<void>;
}
