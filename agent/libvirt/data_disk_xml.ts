/** A personal data disk in a domain's XML. It is told by the name of its file. */
import { basename } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import { dataDiskName } from "../images/files.ts";
import { diskPlan } from "./domain_build.ts";
import type { ParsedDisk, ParsedDomain } from "./domain_read.ts";
import { append, attributeOf, first, parse, plan, remove, render, select, serialize } from "./xml.ts";

/** What a guest finds it by, as /dev/disk/by-id/virtio-kvm-vdi-data. */
const serial = "kvm-vdi-data";

export const isDataDisk = (path: string): boolean => dataDiskName.test(basename(path));

/** The domain's data disk, if it has one. */
export const dataDiskOf = ({ disks }: ParsedDomain): (ParsedDisk & { path: string }) | null => {
  const disk = disks.find(({ device, path }) => device === "disk" && path !== null && isDataDisk(path));
  return disk ? { ...disk, path: disk.path! } : null;
};

const dataPlan = (path: string, target: string) => {
  const disk = diskPlan(path, target);
  return { ...disk, children: [...disk.children, plan("serial", {}, serial)] };
};

/**
 * The element of a data disk that is plugged into the domain, for `virsh attach-device`.
 * @throws {AppError} `conflict` when the domain has no place for another disk.
 */
export const dataDiskElement = (xml: string, path: string): string => render(dataPlan(path, freeTarget(xml)));

/** The element of the data disk that a running domain has, for `virsh detach-device`; null without one. */
export function attachedDataDisk(xml: string): string | null {
  const disk = find(parse(xml, "domain"));
  return disk ? serialize(disk) : null;
}

/** The domain with this data disk in place of the one it had; null: without one. */
export function withDataDisk(xml: string, path: string | null): string {
  const domain = parse(xml, "domain");
  const old = find(domain);
  if (old) remove([old]);
  if (path === null) return serialize(domain);
  const target = freeTarget(serialize(domain));
  append(first(domain, "devices") ?? append(domain, plan("devices")), dataPlan(path, target));
  return serialize(domain);
}

const find = (domain: Parameters<typeof select>[0]) =>
  select(domain, "devices/disk").find((disk) => isDataDisk(attributeOf(disk, "source", "file") ?? ""));

/** vda is the machine's own, also before it has a disk. */
function freeTarget(xml: string): string {
  const taken = new Set(
    select(parse(xml, "domain"), "devices/disk/target").map((target) => target.getAttribute("dev")),
  );
  const free = [..."bcdefghijklmnopqrstuvwxyz"].map((letter) => `vd${letter}`).find((name) =>
    !taken.has(name)
  );
  if (free) return free;
  throw new AppError("conflict", "Attach the data disk: the machine has no place for another disk.");
}
