import type { HostFacts } from "../../contracts/hypervisor.ts";
import type { AgentConfig } from "../config.ts";
import { readDisplays } from "../libvirt/capabilities.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { type KvmFacts, probeKvmOncePerBoot } from "../operations/probe_acceleration.ts";
import { parseMemory } from "./host_load.ts";
import { findServiceManager } from "../service_manager.ts";
import { settingsOf } from "../settings.ts";
import { readStorage } from "./storage.ts";

export type Acceleration = Pick<HostFacts, "domainType" | "kvm">;

/** Decides what new machines use: what the setting says, or under `auto` KVM if a probe guest ran under it. */
export async function chooseAcceleration(
  { domainType, stateDir }: Pick<AgentConfig, "domainType" | "stateDir">,
  signal?: AbortSignal,
): Promise<Acceleration> {
  if (domainType !== "auto") {
    const kvm: KvmFacts = { state: "untested", detail: `The domain type is set to '${domainType}'.` };
    return { domainType, kvm };
  }
  const kvm = await probeKvmOncePerBoot(stateDir, signal);
  return { domainType: kvm.state === "works" ? "kvm" : "qemu", kvm };
}

/** What is known without libvirt. */
export async function readBareFacts(config: AgentConfig, acceleration: Acceleration): Promise<HostFacts> {
  const [cpuInfo, memory, storage] = await Promise.all([
    Deno.readTextFile("/proc/cpuinfo"),
    Deno.readTextFile("/proc/meminfo"),
    readStorage(config),
  ]);
  return {
    hostname: Deno.hostname(),
    cpuModel: /^model name\s*: (.*)$/m.exec(cpuInfo)?.[1] ?? Deno.build.arch,
    cpus: navigator.hardwareConcurrency,
    memoryMiB: parseMemory(memory).totalMiB,
    libvirtVersion: "unknown",
    qemuVersion: "unknown",
    ...acceleration,
    displays: [],
    networks: [],
    storage,
    settings: settingsOf(config),
    serviceManager: findServiceManager(),
  };
}

/**
 * Everything, asked of libvirt.
 * @throws {AppError} when libvirt is not reachable.
 */
export async function readHostFacts(
  config: AgentConfig,
  acceleration: Acceleration,
  virsh: Virsh,
  signal?: AbortSignal,
): Promise<HostFacts> {
  const [bare, versions, capabilities, networks, bridges] = await Promise.all([
    readBareFacts(config, acceleration),
    virsh.versions({ signal }),
    virsh.capabilities({ signal }),
    virsh.networks({ signal }),
    listBridges(),
  ]);
  return {
    ...bare,
    libvirtVersion: versions.libvirt,
    qemuVersion: versions.qemu,
    displays: readDisplays(capabilities),
    networks: [
      ...networks.map(({ name, active }) => ({ name, kind: "network" as const, active })),
      ...bridges,
    ],
  };
}

/** The host's bridges other than those that libvirt and container engines made for themselves. */
async function listBridges(): Promise<HostFacts["networks"]> {
  const bridges: HostFacts["networks"] = [];
  for await (const { name } of Deno.readDir("/sys/class/net")) {
    const isBridge = await Deno.stat(`/sys/class/net/${name}/bridge`).then(() => true, isMissing);
    if (!isBridge || /^(virbr|docker|br-[0-9a-f]{12}$|podman|cni)/.test(name)) continue;
    const state = (await Deno.readTextFile(`/sys/class/net/${name}/operstate`)).trim();
    bridges.push({ name, kind: "bridge", active: state !== "down" });
  }
  return bridges;
}

function isMissing(error: unknown): false {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
  throw error;
}
