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
 *   GET    /image-files               -> ImageFile[] in the ISO and image directories
 *   POST   /jobs                      AgentJobRequest -> AgentJob (202; the same id again answers the same job)
 *   GET    /jobs  GET /jobs/:id  DELETE /jobs/:id (cancels)
 */
import { z } from "zod";
import { AbsolutePath, Bytes, Id, Mac, Name, UnixMs } from "./common.ts";
import { ErrorInfo } from "./errors.ts";
import { HostFacts, HostLoad, ImageFile } from "./hypervisor.ts";
import { JobItem, JobState, Progress } from "./job.ts";
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
export const agentContract = 1;

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
});
export type DisplayTicket = z.infer<typeof DisplayTicket>;

export const CreateMachineOperation = z.object({
  kind: z.literal("create-machine"),
  machine: MachineSpec,
  disk: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("blank"), bytes: Bytes }),
    z.object({ kind: z.literal("import"), path: AbsolutePath }),
    z.object({ kind: z.literal("domain") }).describe("adopt the existing domain whose UUID is machine.id"),
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
 */
export const CopyDiskOperation = z.object({ kind: z.literal("copy-disk"), fromId: Id, toId: Id });
/** (Re)creates the overlay of each vdi on the initial's current image. Result: one item per machine. */
export const PopulateOperation = z.object({
  kind: z.literal("populate"),
  initialId: Id,
  machineIds: z.array(Id).min(1).max(2000),
});
export const AgentOperation = z.discriminatedUnion("kind", [
  CreateMachineOperation,
  DeleteMachineOperation,
  CopyDiskOperation,
  PopulateOperation,
]);
export type AgentOperation = z.infer<typeof AgentOperation>;

export const AgentJobRequest = z.object({ id: Id, operation: AgentOperation });
export type AgentJobRequest = z.infer<typeof AgentJobRequest>;

export const AgentJob = Progress.extend({
  id: Id,
  kind: z.enum(["create-machine", "delete-machine", "copy-disk", "populate"]),
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
  startJob(request: AgentJobRequest, signal?: AbortSignal): Promise<AgentJob>;
  jobs(signal?: AbortSignal): Promise<AgentJob[]>;
  cancelJob(id: string, signal?: AbortSignal): Promise<void>;
}
