/** Domains and a host as a hypervisor without any work would have them. */
import type { Domain, MachineSpec } from "../../contracts/agent.ts";
import type { HostFacts, HostLoad } from "../../contracts/hypervisor.ts";
import type { MachineDisk } from "../../contracts/machine.ts";

export const imageDir = "/var/lib/kvm-vdi/images";
const isoDir = "/var/lib/kvm-vdi/iso";
const scratchDir = "/var/lib/kvm-vdi/scratch";
const gib = 2 ** 30;

export const fakeFacts = (): HostFacts => ({
  hostname: "fake",
  cpuModel: "Imaginary",
  cpus: 8,
  memoryMiB: 65_536,
  libvirtVersion: "9.0.0",
  qemuVersion: "7.2.0",
  domainType: "qemu",
  kvm: { state: "absent", detail: "a fake has none" },
  displays: ["spice", "vnc"],
  networks: [
    { name: "default", kind: "network", active: true },
    { name: "br0", kind: "bridge", active: true },
  ],
  storage: [{ kind: "images", path: imageDir, totalBytes: 1000 * gib, freeBytes: 900 * gib }],
  settings: { imageDir, isoDir, scratchDir, domainType: "qemu", displayListen: "loopback" },
  serviceManager: "none",
});

export const fakeLoad = (at: number): HostLoad => ({
  at,
  cpuPercent: 12,
  load1: 0.5,
  memoryUsedMiB: 4096,
  storage: fakeFacts().storage,
});

/** A shut-off domain; `values` are what differs. */
export function fakeDomain(values: Partial<Domain> & { id: string; name: string }): Domain {
  return {
    managed: true,
    role: "simple",
    state: "shut-off",
    stateReason: null,
    persistent: true,
    osType: "linux",
    vcpus: 2,
    memoryMiB: 2048,
    mac: macOf(values.id),
    network: "default",
    video: "qxl",
    iso: null,
    disks: [fakeDisk(`${imageDir}/${values.name}.qcow2`, 10 * gib)],
    displays: ["spice"],
    viewers: [],
    guestAgent: false,
    addresses: [],
    virtualSnapshot: false,
    pendingAction: null,
    ...values,
  };
}

/** A MAC address that follows from an id, so that thousands differ. */
export function macOf(id: string): string {
  const hex = id.replaceAll("-", "").slice(-6);
  return `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`;
}

export const fakeDisk = (
  path: string | null,
  virtualBytes: number | null,
  backingPath: string | null = null,
): Domain["disks"][number] => ({ target: "vda", device: "disk", path, virtualBytes, backingPath });

/** The domain that an agent defines for a spec. */
export function domainOfSpec(spec: MachineSpec, disks: Domain["disks"]): Domain {
  const { id, name, role, osType, vcpus, memoryMiB, network, video, iso } = spec;
  const mac = spec.mac ?? macOf(id);
  return fakeDomain({ id, name, role, osType, vcpus, memoryMiB, network, video, iso, mac, disks });
}

export const firstDisk = (domain: Domain) => domain.disks.find(({ device }) => device === "disk");

/** A domain's disks as the API tells them, top layer first. */
export function chainsOf(domain: Domain): MachineDisk[] {
  const layer = (path: string, kind: "scratch" | "overlay" | "image", virtualBytes: number) => ({
    path,
    format: "qcow2",
    virtualBytes,
    allocatedBytes: 196_608,
    kind,
  });
  return domain.disks.flatMap(({ target, device, path, virtualBytes, backingPath }) => {
    if (path === null) return [];
    const bytes = virtualBytes ?? 0;
    const chain = [
      ...(domain.virtualSnapshot
        ? [layer(`/var/lib/kvm-vdi/scratch/${domain.id}.qcow2`, "scratch", bytes)]
        : []),
      layer(path, backingPath === null ? "image" : "overlay", bytes),
      ...(backingPath === null ? [] : [layer(backingPath, "image", bytes)]),
    ];
    return [{ target, bus: "virtio", device, chain }];
  });
}

/** The smallest PNG there is. */
export const tinyPng = () =>
  Uint8Array.from(
    atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="),
    (character) => character.charCodeAt(0),
  );
