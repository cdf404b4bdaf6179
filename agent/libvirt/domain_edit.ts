import type { Element } from "@xmldom/xmldom";
import type { EditCommand } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { OsType } from "../../contracts/machine.ts";
import {
  cdromPlan,
  clockPlan,
  diskPlan,
  expired,
  hyperVPlan,
  networkPlan,
  randomPassword,
  videoPlan,
} from "./domain_build.ts";
import { metadataOf, writeMetadata } from "./domain_metadata.ts";
import { append, attributeOf, first, parse, plan, remove, select, serialize, setText } from "./xml.ts";

/**
 * The domain with another image as its disk `target` (null: its first one, which is made when it has none).
 * @throws {AppError} `not_found` when it has no such disk.
 */
export function setDisk(xml: string, target: string | null, path: string, format = "qcow2"): string {
  const domain = parse(xml, "domain");
  const disk = findDisk(domain, target);
  if (disk) setSource(disk, path, format);
  else if (target === null) addFirstDisk(domain, path, format);
  else throw new AppError("not_found", `Change the disk: the domain has no disk ${target}.`);
  return serialize(domain);
}

function findDisk(domain: Element, target: string | null): Element | undefined {
  return select(domain, "devices/disk").find((disk) =>
    target === null
      ? ["disk", "lun", ""].includes(disk.getAttribute("device") ?? "")
      : attributeOf(disk, "target", "dev") === target
  );
}

function addFirstDisk(domain: Element, path: string, format: string): void {
  const devices = first(domain, "devices") ?? append(domain, plan("devices"));
  setSource(append(devices, diskPlan(path), first(devices, "disk")), path, format);
}

function setSource(disk: Element, path: string | null, format: string): void {
  disk.setAttribute("type", "file");
  remove(["source", "backingStore", "mirror", "transient"].flatMap((name) => select(disk, name)));
  const driver = first(disk, "driver") ??
    append(disk, plan("driver", { name: "qemu" }), first(disk, "target"));
  driver.setAttribute("type", format);
  if (path !== null) append(disk, plan("source", { file: path }), first(disk, "target"));
}

/**
 * The domain on a scratch image, for one run that leaves nothing behind: a reboot ends it, as the scratch image is
 * dropped there, and its display is closed.
 */
export function withScratch(xml: string, path: string, target: string | null = null): string {
  const domain = parse(setDisk(xml, target, path), "domain");
  setText(domain, "on_reboot", "destroy");
  return closeDisplay(serialize(domain));
}

/** The domain with every display closed: a random password that has expired. */
export function closeDisplay(xml: string): string {
  const domain = parse(xml, "domain");
  for (const graphics of select(domain, "devices/graphics")) {
    const type = graphics.getAttribute("type");
    if (type === "spice" || type === "vnc") setPassword(graphics, randomPassword(type), expired);
  }
  return serialize(domain);
}

const loopbacks = ["127.0.0.1", "::1", "localhost"];
const everywhere = ["0.0.0.0", "::"];

/**
 * The domain with its displays on the loopback or on all addresses; unchanged where they are already, or where somebody
 * has given them an address of their own.
 */
export function listenOn(xml: string, where: "loopback" | "all"): string {
  const [from, to] = where === "all" ? [loopbacks, "0.0.0.0"] : [everywhere, "127.0.0.1"];
  const domain = parse(xml, "domain");
  let changed = false;
  for (const graphics of select(domain, "devices/graphics")) {
    for (const element of [graphics, ...select(graphics, "listen")]) {
      const attribute = element === graphics ? "listen" : "address";
      if (!from.includes(element.getAttribute(attribute) ?? "")) continue;
      element.setAttribute(attribute, to);
      changed = true;
    }
  }
  return changed ? serialize(domain) : xml;
}

function setPassword(graphics: Element, password: string, validTo: string): void {
  graphics.setAttribute("passwd", password);
  graphics.setAttribute("passwdValidTo", validTo);
}

export interface DisplayAccess {
  password: string;
  /** Unix ms, in whole seconds for libvirt; null: expired already. */
  expiresAt: number | null;
  /** What happens to viewers that are connected. */
  connected?: "keep" | "disconnect" | "fail";
}

/**
 * The `<graphics>` element of a running domain's XML with another password, for `virsh update-device --live`.
 * @throws {AppError} `not_found` when the domain has no SPICE or VNC display.
 */
export function graphicsElement(xml: string, { password, expiresAt, connected }: DisplayAccess): string {
  const all = select(parse(xml, "domain"), "devices/graphics");
  const graphics = ["spice", "vnc"]
    .map((type) => all.find((element) => element.getAttribute("type") === type))
    .find((element) => element !== undefined);
  if (!graphics) {
    throw new AppError("not_found", "Open the display: the machine has no SPICE or VNC display.");
  }
  const validTo = expiresAt === null ? expired : new Date(expiresAt).toISOString().slice(0, 19);
  setPassword(graphics, password, validTo);
  if (connected) graphics.setAttribute("connected", connected);
  else graphics.removeAttribute("connected");
  return serialize(graphics);
}

/**
 * The first CD drive with another medium (null: empty), for `virsh update-device`; works while the domain runs.
 * @throws {AppError} `conflict` when the domain has no CD drive.
 */
export function cdromElement(xml: string, iso: string | null): string {
  const drive = findCdrom(parse(xml, "domain"));
  if (!drive) {
    throw new AppError("conflict", "Change the ISO image: the machine has no CD drive. Shut it down first.");
  }
  setSource(drive, iso, "raw");
  return serialize(drive);
}

const findCdrom = (domain: Element) =>
  select(domain, "devices/disk").find((disk) => disk.getAttribute("device") === "cdrom");

/**
 * The domain as edited. libvirt takes a new name only from `virsh domrename`, before this XML is defined.
 * The operating system's type changes the hardware only of domains that KVM-VDI made.
 */
export function applyEdit(xml: string, edit: EditCommand): string {
  const domain = parse(xml, "domain");
  if (edit.name !== undefined) setText(domain, "name", edit.name);
  if (edit.vcpus !== undefined) setVcpus(domain, edit.vcpus);
  if (edit.memoryMiB !== undefined) setMemory(domain, edit.memoryMiB);
  if (edit.network !== undefined) setNetwork(domain, edit.network);
  if (edit.video !== undefined) {
    const video = first(domain, "devices/video");
    append(first(domain, "devices")!, videoPlan(edit.video), video);
    if (video) remove([video]);
  }
  if (edit.iso !== undefined) setIso(domain, edit.iso);
  return edit.osType === undefined ? serialize(domain) : setOsType(domain, edit.osType);
}

function setVcpus(domain: Element, vcpus: number): void {
  setText(domain, "vcpu", String(vcpus)).removeAttribute("current");
  remove([...select(domain, "vcpus"), ...select(domain, "cpu/numa")]);
  const topology = first(domain, "cpu/topology");
  if (!topology) return;
  const shape = { sockets: 1, dies: 1, cores: vcpus, threads: 1 };
  append(first(domain, "cpu")!, plan("topology", shape), topology);
  remove([topology]);
}

function setMemory(domain: Element, memoryMiB: number): void {
  for (const name of ["memory", "currentMemory"]) {
    const element = setText(domain, name, String(memoryMiB));
    element.setAttribute("unit", "MiB");
  }
}

/** The machine keeps its MAC address, which a DHCP server may know. */
function setNetwork(domain: Element, network: string): void {
  const nic = first(domain, "devices/interface");
  const planned = networkPlan(network, null);
  if (!nic || !planned) {
    if (nic) remove([nic]);
    if (planned) append(first(domain, "devices")!, planned);
    return;
  }
  remove(["source", "virtualport", "portForward", "ip", "target"].flatMap((name) => select(nic, name)));
  const type = String(planned.attributes.type);
  nic.setAttribute("type", type);
  append(nic, plan("source", { [type]: network.replace(/^bridge:/, "") }), first(nic, "model"));
}

function setIso(domain: Element, iso: string | null): void {
  const drive = findCdrom(domain);
  if (drive) return setSource(drive, iso, "raw");
  const taken = new Set(select(domain, "devices/disk/target").map((target) => target.getAttribute("dev")));
  const target = ["sda", "sdb", "sdc", "sdd", "sde", "sdf"].find((name) => !taken.has(name));
  if (!target) throw new AppError("conflict", "Add a CD drive: all SATA ports of the machine are taken.");
  append(first(domain, "devices")!, cdromPlan(iso, target));
}

function setOsType(domain: Element, osType: OsType): string {
  const metadata = metadataOf(domain);
  if (!metadata) return serialize(domain);
  if (metadata.owned) {
    const domainType = domain.getAttribute("type") === "kvm" ? "kvm" : "qemu";
    remove([...select(domain, "clock"), ...select(domain, "features/hyperv")]);
    append(domain, clockPlan(osType, domainType), first(domain, "on_poweroff"));
    const hyperV = hyperVPlan(osType, domainType);
    if (hyperV) append(first(domain, "features") ?? append(domain, plan("features")), hyperV);
  }
  return writeMetadata(serialize(domain), { ...metadata, osType });
}
