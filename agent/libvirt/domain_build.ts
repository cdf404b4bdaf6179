import type { MachineSpec } from "../../contracts/agent.ts";
import type { DomainType, HostFacts } from "../../contracts/hypervisor.ts";
import type { OsType, VideoModel } from "../../contracts/machine.ts";
import { type MachineMetadata, metadataPlan } from "./domain_metadata.ts";
import { type Plan, plan, render } from "./xml.ts";

/** What the building of a domain needs to know of its host. */
export type BuildFacts = Pick<HostFacts, "domainType" | "displays">;

export interface BuildOptions {
  owned?: boolean;
  imageVersion?: number;
}

/**
 * The XML of a new domain (https://libvirt.org/formatdomain.html) with `diskPath`, a qcow2 image, as its first disk.
 * Its display listens on loopback and is closed: the password is random and expired.
 */
export function buildDomainXml(
  spec: MachineSpec,
  diskPath: string | null,
  facts: BuildFacts,
  { owned = true, imageVersion = 0 }: BuildOptions = {},
): string {
  const metadata: MachineMetadata = { role: spec.role, osType: spec.osType, owned, imageVersion };
  return render(plan(
    "domain",
    { type: facts.domainType },
    plan("name", {}, spec.name),
    plan("uuid", {}, spec.id),
    plan("metadata", {}, metadataPlan(metadata)),
    plan("memory", { unit: "MiB" }, String(spec.memoryMiB)),
    plan("currentMemory", { unit: "MiB" }, String(spec.memoryMiB)),
    plan("vcpu", {}, String(spec.vcpus)),
    plan(
      "os",
      {},
      plan("type", { arch: "x86_64", machine: "q35" }, "hvm"),
      plan("boot", { dev: "hd" }),
      plan("boot", { dev: "cdrom" }),
    ),
    features(spec.osType, facts),
    cpu(spec.vcpus, facts),
    clockPlan(spec.osType, facts.domainType),
    plan("on_poweroff", {}, "destroy"),
    plan("on_reboot", {}, "restart"),
    plan("on_crash", {}, "destroy"),
    // A desktop that suspends itself looks like a dead one to its user.
    plan(
      "pm",
      {},
      plan("suspend-to-mem", { enabled: "no" }),
      plan("suspend-to-disk", { enabled: "no" }),
    ),
    plan("devices", {}, ...devices(spec, diskPath, facts)),
  ));
}

const on = (name: string, attributes: Plan["attributes"] = {}) => plan(name, { state: "on", ...attributes });

const features = (osType: OsType, { domainType }: BuildFacts): Plan =>
  plan(
    "features",
    {},
    plan("acpi"),
    plan("apic"),
    hyperVPlan(osType, domainType),
    plan("vmport", { state: "off" }),
  );

/** Windows asks Hyper-V for its time and its interrupts; QEMU offers that only with KVM. */
export const hyperVPlan = (osType: OsType, domainType: DomainType): Plan | null =>
  osType !== "windows" || domainType !== "kvm" ? null : plan(
    "hyperv",
    { mode: "custom" },
    on("relaxed"),
    on("vapic"),
    on("spinlocks", { retries: 8191 }),
    on("vpindex"),
    on("runtime"),
    on("synic"),
    on("stimer"),
    on("reset"),
    on("frequencies"),
  );

/** One socket: desktop editions of Windows use two at most. */
function cpu(vcpus: number, { domainType }: BuildFacts): Plan {
  const topology = plan("topology", { sockets: 1, dies: 1, cores: vcpus, threads: 1 });
  return domainType === "kvm"
    ? plan("cpu", { mode: "host-passthrough", check: "none", migratable: "on" }, topology)
    // Five-level page tables, of no use to a desktop, make an emulated processor slower.
    : plan(
      "cpu",
      { mode: "maximum", check: "none" },
      topology,
      plan("feature", { policy: "disable", name: "la57" }),
    );
}

export function clockPlan(osType: OsType, domainType: DomainType): Plan {
  const windows = osType === "windows";
  return plan(
    "clock",
    { offset: windows ? "localtime" : "utc" },
    plan("timer", { name: "rtc", tickpolicy: "catchup" }),
    plan("timer", { name: "pit", tickpolicy: "delay" }),
    plan("timer", { name: "hpet", present: "no" }),
    windows && domainType === "kvm" && plan("timer", { name: "hypervclock", present: "yes" }),
  );
}

function devices(spec: MachineSpec, diskPath: string | null, facts: BuildFacts): Plan["children"] {
  const spice = facts.displays.includes("spice");
  return [
    diskPath !== null && diskPlan(diskPath),
    cdromPlan(spec.iso),
    plan("controller", { type: "usb", model: "qemu-xhci", ports: 15 }),
    networkPlan(spec.network, spec.mac),
    plan("serial", { type: "pty" }),
    plan("channel", { type: "unix" }, plan("target", { type: "virtio", name: "org.qemu.guest_agent.0" })),
    spice &&
    plan("channel", { type: "spicevmc" }, plan("target", { type: "virtio", name: "com.redhat.spice.0" })),
    plan("input", { type: "tablet", bus: "usb" }),
    spice ? spicePlan() : closedGraphics("vnc"),
    videoPlan(spec.video),
    plan("sound", { model: "ich9" }, plan("audio", { id: 1 })),
    plan("audio", { id: 1, type: spice ? "spice" : "none" }),
    ...Array.from({ length: spice ? 2 : 0 }, () => plan("redirdev", { bus: "usb", type: "spicevmc" })),
    plan("memballoon", { model: "virtio" }),
    plan("rng", { model: "virtio" }, plan("backend", { model: "random" }, "/dev/urandom")),
    plan("panic", { model: "isa" }),
  ];
}

export const diskPlan = (path: string, target = "vda"): Plan =>
  plan(
    "disk",
    { type: "file", device: "disk" },
    plan("driver", { name: "qemu", type: "qcow2", discard: "unmap" }),
    plan("source", { file: path }),
    plan("target", { dev: target, bus: "virtio" }),
  );

/** Present even when it is empty: media can be changed while the machine runs, a drive cannot be added. */
export const cdromPlan = (iso: string | null, target = "sda"): Plan =>
  plan(
    "disk",
    { type: "file", device: "cdrom" },
    plan("driver", { name: "qemu", type: "raw" }),
    iso !== null && plan("source", { file: iso }),
    plan("target", { dev: target, bus: "sata" }),
    plan("readonly"),
  );

/** `bridge:NAME`, the name of a libvirt network, or `none`. */
export function networkPlan(network: string, mac: string | null): Plan | null {
  if (network === "none") return null;
  const [type, name] = network.startsWith("bridge:")
    ? ["bridge", network.slice("bridge:".length)] as const
    : ["network", network] as const;
  return plan(
    "interface",
    { type },
    mac !== null && plan("mac", { address: mac }),
    plan("source", { [type]: name }),
    plan("model", { type: "virtio" }),
  );
}

/** Video memory for one 4K screen with QXL; virtio allocates by itself. */
export const videoPlan = (model: VideoModel): Plan =>
  plan(
    "video",
    {},
    model === "qxl"
      ? plan("model", { type: "qxl", ram: 65536, vram: 65536, vgamem: 32768, heads: 1, primary: "yes" })
      : plan("model", { type: "virtio", heads: 1, primary: "yes" }),
  );

/**
 * Lossless and cheap to decode in a browser: no JPEG and no zlib over WAN, video only where the server detects it.
 */
const spicePlan = (): Plan => ({
  ...closedGraphics("spice"),
  children: [
    ...closedGraphics("spice").children,
    plan("image", { compression: "auto_lz" }),
    plan("jpeg", { compression: "never" }),
    plan("zlib", { compression: "never" }),
    plan("playback", { compression: "on" }),
    plan("streaming", { mode: "filter" }),
    plan("mouse", { mode: "client" }),
    plan("clipboard", { copypaste: "yes" }),
    plan("filetransfer", { enable: "yes" }),
  ],
});

/** libvirt's way of saying "expired": any time that has passed. */
export const expired = "1970-01-01T00:00:01";

/** A display that nobody can open. One defined without a password would be open, and could never get one. */
const closedGraphics = (type: "spice" | "vnc"): Plan =>
  plan(
    "graphics",
    { type, autoport: "yes", passwd: randomPassword(type), passwdValidTo: expired },
    plan("listen", { type: "address", address: "127.0.0.1" }),
  );

/** As long as the protocol takes: VNC uses only 8 characters. */
export function randomPassword(type: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const text = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
  return type === "vnc" ? text.slice(0, 8) : text;
}
