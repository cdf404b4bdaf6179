import { z } from "zod";
import { Bytes, Id, Title, UnixMs } from "./common.ts";

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

export const Hypervisor = z.object({
  id: Id,
  name: Title,
  address: z.string().describe("'local', or the host's address"),
  state: HypervisorState,
  stateReason: z.string().nullable().describe("why it is degraded or offline, and what to do"),
  stateSince: UnixMs,
  maintenance: z.boolean(),
  agentVersion: z.string().nullable(),
  agentContract: z.int().nullable(),
  agentOutdated: z.boolean(),
  facts: HostFacts.nullable(),
  load: HostLoad.nullable(),
  defaultNetwork: z.string().nullable(),
  machineCount: z.int(),
  runningCount: z.int(),
  createdAt: UnixMs,
});
export type Hypervisor = z.infer<typeof Hypervisor>;

export const CreateHypervisor = z.object({
  name: Title,
  socketPath: z.string().startsWith("/").max(107).describe("the agent's unix socket on this host"),
});
export const UpdateHypervisor = z.object({
  name: Title,
  maintenance: z.boolean(),
  defaultNetwork: z.string().max(64).nullable(),
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
