import type { Element } from "@xmldom/xmldom";
import { type MachineMetadata, metadataOf } from "./domain_metadata.ts";
import { attributeOf, first, parse, select, textOf } from "./xml.ts";

/** A disk or CD drive of a domain's XML. */
export interface ParsedDisk {
  target: string;
  bus: string;
  device: "disk" | "cdrom";
  /** Of the file or block device; null for an empty drive and for network disks and storage volumes. */
  path: string | null;
  /** The image format that QEMU is told, as qcow2; null when the XML does not say. */
  format: string | null;
  readOnly: boolean;
}

/** A display as the XML has it; port and address are known only while the domain runs. */
export interface ParsedDisplay {
  protocol: "spice" | "vnc";
  port: number | null;
  address: string | null;
}

/** What KVM-VDI reads from a domain's XML, live or persistent, its own or anybody's. */
export interface ParsedDomain {
  id: string;
  name: string;
  /** `kvm`, `qemu`, or whatever else the domain was made for. */
  type: string;
  /** Null for a domain that KVM-VDI does not manage. */
  machine: MachineMetadata | null;
  vcpus: number;
  memoryMiB: number;
  mac: string | null;
  /** As in a machine's spec: `bridge:NAME`, a network's name, or the kind of another interface; null without one. */
  network: string | null;
  video: string | null;
  /** Path of the medium in the first CD drive. */
  iso: string | null;
  disks: ParsedDisk[];
  displays: ParsedDisplay[];
  /** State of the guest agent's channel: null without a channel, and `unknown` in persistent XML. */
  guestAgentChannel: "connected" | "disconnected" | "unknown" | null;
  onReboot: string;
}

/**
 * Reads a domain's XML. Odd but valid XML is taken as it comes.
 * @throws {AppError} `hypervisor_failed` when it is not the XML of a domain.
 */
export function readDomain(xml: string): ParsedDomain {
  const domain = parse(xml, "domain");
  const disks = select(domain, "devices/disk").flatMap(readDisk);
  return {
    id: textOf(domain, "uuid") ?? "",
    name: textOf(domain, "name") ?? "",
    type: domain.getAttribute("type") ?? "",
    machine: metadataOf(domain),
    vcpus: Number(attributeOf(domain, "vcpu", "current") ?? textOf(domain, "vcpu") ?? 1),
    memoryMiB: readMemoryMiB(first(domain, "memory")),
    mac: attributeOf(domain, "devices/interface/mac", "address")?.toLowerCase() ?? null,
    network: readNetwork(first(domain, "devices/interface")),
    video: attributeOf(domain, "devices/video/model", "type"),
    iso: disks.find((disk) => disk.device === "cdrom")?.path ?? null,
    disks,
    displays: select(domain, "devices/graphics").flatMap(readDisplay),
    guestAgentChannel: readGuestAgentChannel(domain),
    onReboot: textOf(domain, "on_reboot") ?? "restart",
  };
}

function readDisk(disk: Element): ParsedDisk[] {
  const device = disk.getAttribute("device") ?? "disk";
  if (device === "floppy") return [];
  const source = first(disk, "source");
  return [{
    target: attributeOf(disk, "target", "dev") ?? "",
    bus: attributeOf(disk, "target", "bus") ?? "",
    device: device === "cdrom" ? "cdrom" : "disk",
    path: source?.getAttribute("file") || source?.getAttribute("dev") || null,
    format: attributeOf(disk, "driver", "type"),
    readOnly: device === "cdrom" || first(disk, "readonly") !== null,
  }];
}

function readDisplay(graphics: Element): ParsedDisplay[] {
  const protocol = graphics.getAttribute("type");
  if (protocol !== "spice" && protocol !== "vnc") return [];
  const port = Number(graphics.getAttribute("port") ?? 0);
  return [{
    protocol,
    port: port > 0 ? port : null,
    address: attributeOf(graphics, "listen", "address") ?? (graphics.getAttribute("listen") || null),
  }];
}

function readNetwork(nic: Element | null): string | null {
  const type = nic?.getAttribute("type");
  if (!nic || !type) return null;
  if (type === "network") return attributeOf(nic, "source", "network");
  if (type === "bridge") return `bridge:${attributeOf(nic, "source", "bridge") ?? ""}`;
  return type;
}

function readGuestAgentChannel(domain: Element): ParsedDomain["guestAgentChannel"] {
  const target = select(domain, "devices/channel/target")
    .find((target) => target.getAttribute("name") === "org.qemu.guest_agent.0");
  if (!target) return null;
  const state = target.getAttribute("state");
  return state === "connected" || state === "disconnected" ? state : "unknown";
}

const bytesOfUnit: Record<string, number> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 2 ** 10,
  KiB: 2 ** 10,
  MB: 1e6,
  M: 2 ** 20,
  MiB: 2 ** 20,
  GB: 1e9,
  G: 2 ** 30,
  GiB: 2 ** 30,
  TB: 1e12,
  T: 2 ** 40,
  TiB: 2 ** 40,
};

function readMemoryMiB(memory: Element | null): number {
  const unitBytes = bytesOfUnit[memory?.getAttribute("unit") ?? "KiB"] ?? 2 ** 10;
  return Math.round(Number(memory?.textContent ?? 0) * unitBytes / 2 ** 20);
}
