import { z } from "zod";
import { AbsolutePath, Bytes, Id, Title, UnixMs } from "./common.ts";

export const DomainType = z.enum(["kvm", "qemu"]);
export type DomainType = z.infer<typeof DomainType>;
export const DomainTypeSetting = z.enum(["auto", "kvm", "qemu"]);

export const StoragePath = z.object({
  kind: z.enum(["images", "iso", "scratch"]),
  path: z.string(),
  totalBytes: Bytes,
  freeBytes: Bytes,
});
export type StoragePath = z.infer<typeof StoragePath>;

/** Where an agent keeps files and how it runs guests. Kept by the agent itself; new machines follow a change at once. */
export const AgentSettings = z.object({
  imageDir: AbsolutePath,
  isoDir: AbsolutePath,
  scratchDir: AbsolutePath,
  domainType: DomainTypeSetting,
  displayListen: z.enum(["loopback", "all"]).describe(
    "where displays listen, from a machine's next start: `all` lets native viewers reach them without the gateway",
  ),
});
export type AgentSettings = z.infer<typeof AgentSettings>;

/** What the host is; changes seldom. */
export const HostFacts = z.object({
  hostname: z.string(),
  cpuModel: z.string(),
  cpus: z.int().describe("logical processors"),
  memoryMiB: z.int(),
  libvirtVersion: z.string(),
  qemuVersion: z.string(),
  domainType: DomainType.describe("what new machines use"),
  kvm: z.object({
    state: z.enum(["works", "broken", "absent", "untested"]),
    detail: z.string().describe("how this was found out, for people"),
  }),
  displays: z.array(z.enum(["spice", "vnc"])).describe("display protocols that this QEMU really has"),
  networks: z.array(z.object({ name: z.string(), kind: z.enum(["network", "bridge"]), active: z.boolean() })),
  storage: z.array(StoragePath),
  settings: AgentSettings,
  /** Who starts the agent again and at boot: systemd, the dashboard's own service of this host, or nobody. */
  serviceManager: z.enum(["systemd", "dashboard", "none"]),
});
export type HostFacts = z.infer<typeof HostFacts>;

/** How busy the host is; sent every few seconds. */
export const HostLoad = z.object({
  at: UnixMs,
  cpuPercent: z.number(),
  load1: z.number(),
  memoryUsedMiB: z.int(),
  storage: z.array(StoragePath),
});
export type HostLoad = z.infer<typeof HostLoad>;

export const HypervisorState = z.enum(["online", "degraded", "offline"]);
export type HypervisorState = z.infer<typeof HypervisorState>;

/** A host's public key, as an admin compares it with what `ssh-keygen -l` says on the host. */
export const HostKey = z.object({
  algorithm: z.string().describe("as ssh-ed25519"),
  key: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/, "must be base64, as in known_hosts").max(4096),
  fingerprint: z.string().describe("SHA256:..., as ssh-keygen -l shows it"),
});
export type HostKey = z.infer<typeof HostKey>;

/** A host name or an address, IPv4 or IPv6 without brackets. */
export const HostAddress = z.string().trim().regex(
  /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^[0-9a-fA-F:]{2,45}$/,
  "must be a host name or an IP address",
);
export const SshEndpoint = z.object({
  address: HostAddress,
  port: z.int().min(1).max(65535).default(22),
});
export const SshUsername = z.string().regex(/^[a-z_][a-z0-9_.-]{0,31}$/i, "must be a user name of the host");
/** How the dashboard reaches an agent on another host, every time: as an account that may open the agent's socket. */
export const SshTarget = SshEndpoint.extend({
  username: SshUsername.default("kvm-vdi"),
  hostKey: HostKey.pick({ algorithm: true, key: true }),
});
export type SshTarget = z.output<typeof SshTarget>;

/** An account that may sudo (or root), used once to install the agent and then forgotten. Never stored or logged. */
export const EnrolCredentials = z.object({
  username: SshUsername,
  password: z.string().max(1024).optional().describe("for signing in, and for sudo unless that has its own"),
  privateKey: z.string().max(16384).optional().describe("OpenSSH or PEM, instead of a password"),
  passphrase: z.string().max(1024).optional().describe("of the private key"),
  sudoPassword: z.string().max(1024).optional(),
}).refine(({ password, privateKey }) => !!password || !!privateKey, {
  path: ["password"],
  message: "give a password or a private key",
});
export type EnrolCredentials = z.infer<typeof EnrolCredentials>;

/** The dashboard's own key, to be put into `authorized_keys` of the account on a hypervisor. */
export const OwnKey = z.object({
  algorithm: z.enum(["ed25519", "rsa"]),
  publicKey: z.string().describe("the line for authorized_keys"),
  fingerprint: z.string(),
  createdAt: UnixMs,
});
export type OwnKey = z.infer<typeof OwnKey>;

/** How much may run on a hypervisor. Machines that run already are never touched by it. */
export const Capacity = z.object({
  memoryOvercommit: z.number().min(0.5).max(4).describe(
    "memory that running machines may be given, as a multiple of what the host has",
  ),
  cpuOvercommit: z.number().min(1).max(32).describe("virtual processors per logical processor of the host"),
  maxRunning: z.int().min(0).max(2000).nullable().describe("desktops that run at once; null: no limit"),
  maxStarting: z.int().min(1).max(100).describe("machines that boot at once"),
  startCpuPercent: z.int().min(10).max(100).describe(
    "while the host is busier than this, only desktops that somebody waits for are started",
  ),
});
export type Capacity = z.infer<typeof Capacity>;
export const defaultCapacity: Capacity = {
  memoryOvercommit: 1,
  cpuOvercommit: 8,
  maxRunning: null,
  maxStarting: 4,
  startCpuPercent: 90,
};

/** Emptying a hypervisor. `wait`: sessions end when users leave; `end`: they are warned and ended. */
export const DrainMode = z.enum(["wait", "end"]);
export const Drain = z.object({
  mode: DrainMode,
  since: UnixMs,
  endsAt: UnixMs.nullable().describe("when remaining sessions are ended; null: when their users leave"),
  sessionsLeft: z.int(),
  runningLeft: z.int().describe("desktops of pools that still run; they are shut down once nobody uses them"),
});
export type Drain = z.infer<typeof Drain>;

export const Hypervisor = z.object({
  id: Id,
  name: Title,
  address: z.string().describe("'local', or the host's address"),
  ssh: SshTarget.extend({ hostKey: HostKey }).nullable().describe(
    "null: the agent's socket is on the dashboard's host",
  ),
  socketPath: z.string(),
  state: HypervisorState,
  stateReason: z.string().nullable().describe("why it is degraded or offline, and what to do"),
  stateSince: UnixMs,
  maintenance: z.boolean(),
  drain: Drain.nullable(),
  agentVersion: z.string().nullable(),
  agentCommit: z.string().nullable(),
  agentContract: z.int().nullable(),
  agentOutdated: z.boolean().describe("not the same program as the dashboard's own"),
  jobId: Id.nullable().describe("the open job on the hypervisor itself: enrolment, update of its agent"),
  displayAddress: z.string().nullable().describe(
    "where native viewers may reach displays directly; null: everything goes through the gateway",
  ),
  capacity: Capacity,
  committed: z.object({ memoryMiB: z.int(), vcpus: z.int(), running: z.int() }).describe(
    "what its running machines have been given",
  ),
  facts: HostFacts.nullable(),
  load: HostLoad.nullable(),
  defaultNetwork: z.string().nullable(),
  machineCount: z.int(),
  runningCount: z.int(),
  createdAt: UnixMs,
});
export type Hypervisor = z.infer<typeof Hypervisor>;

const SocketPath = z.string().startsWith("/").max(107);
export const CreateHypervisor = z.object({
  name: Title,
  socketPath: SocketPath.default("/run/kvm-vdi/agent.sock").describe("the agent's unix socket on its host"),
  ssh: SshTarget.optional().describe("leave out for an agent on the dashboard's own host"),
  enrol: EnrolCredentials.optional().describe("install the agent first, by this account"),
}).refine(({ ssh, enrol }) => !enrol || !!ssh, { path: ["ssh"], message: "is needed to install the agent" });
export const UpdateHypervisor = z.object({
  name: Title,
  maintenance: z.boolean().describe("true also ends a drain; false makes it available again"),
  drain: z.object({
    mode: DrainMode,
    countdownSeconds: z.int().min(0).max(24 * 3600).default(300).describe(
      "of `end`: how long users are warned",
    ),
  }).nullable().describe("an object: maintenance, and empty it; null: stop draining, stay in maintenance"),
  defaultNetwork: z.string().max(64).nullable(),
  displayAddress: HostAddress.nullable(),
  capacity: Capacity.partial(),
  ssh: z.object({
    address: HostAddress,
    port: z.int().min(1).max(65535),
    username: SshUsername,
    hostKey: HostKey.pick({ algorithm: true, key: true }).describe("accepts a changed key"),
  }).partial(),
  settings: AgentSettings.partial().describe("of its agent; directories must exist there"),
}).partial();
export type UpdateHypervisor = z.infer<typeof UpdateHypervisor>;

/** A libvirt domain that the dashboard does not manage yet. */
export const ImportableDomain = z.object({
  id: Id,
  name: z.string(),
  state: z.string(),
  memoryMiB: z.int(),
  disks: z.array(z.string()),
});
/** A file that a new machine can use. */
export const ImageFile = z.object({
  path: z.string(),
  name: z.string(),
  kind: z.enum(["iso", "disk"]),
  format: z.string(),
  bytes: Bytes,
  virtualBytes: Bytes,
});
export type ImageFile = z.infer<typeof ImageFile>;

/** One sample of a hypervisor's past: a minute's, or the mean of a longer time. */
export const LoadPoint = z.object({
  at: UnixMs,
  cpuPercent: z.number(),
  memoryUsedMiB: z.int(),
  running: z.int().describe("machines"),
  freeBytes: Bytes.describe("of the image directory"),
});
export type LoadPoint = z.infer<typeof LoadPoint>;
export const LoadQuery = z.object({
  hours: z.coerce.number().int().min(1).max(24 * 31).default(24),
});
