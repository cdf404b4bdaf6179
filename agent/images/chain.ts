import type { Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { DiskLayer, MachineDisk } from "../../contracts/machine.ts";
import type { Host } from "../host.ts";
import { readDomain } from "../libvirt/domain_xml.ts";
import { statIfPresent } from "./files.ts";
import { isSealed } from "./known_image.ts";
import { type Link, walkChain } from "./links.ts";
import { type Holder, listNames, readUses } from "./uses.ts";
import { readVirtualBytes } from "./virtual_size.ts";

export { listImageFiles } from "./listing.ts";

/** Every domain that depends on an image file: as its disk, below its disk, or in its CD drive. */
export const holdersOf = async (host: Host, path: string): Promise<Holder[]> =>
  await (await readUses(host)).of(path);

/**
 * Whether a machine's disks are such that a start harms nothing.
 * @throws {AppError} `not_found`; `conflict` when an image is missing, when it is written to by another machine, or
 * when the start would write to an image that clones are based on.
 */
export async function assertMayStart(
  host: Host,
  id: string,
  { virtualSnapshot }: { virtualSnapshot: boolean },
): Promise<void> {
  const domain = host.domains.get(id);
  if (!domain) throw new AppError("not_found", `Start the machine: there is no domain ${id}.`);
  const paths = domain.disks.flatMap(({ device, path }) => device === "disk" && path !== null ? [path] : []);
  const unpopulated = domain.role === "vdi" && (paths.length === 0 || !await statIfPresent(paths[0]!));
  if (unpopulated) {
    throw new AppError(
      "conflict",
      `Start ${domain.name}: it is not populated. Populate it from its initial machine.`,
    );
  }
  for (const path of paths) await requireWholeChain(domain, path);
  // Nothing is ever based on the overlay of a vdi, and QEMU itself refuses a base that is being written to.
  if (domain.role === "vdi") return;
  const uses = await readUses(host);
  for (const path of paths) {
    requireFree(domain, path, await uses.of(path), virtualSnapshot);
    if (domain.role === "initial" && !virtualSnapshot) await requireOpen(domain, path);
  }
}

/** A sealed version may only be looked at: QEMU as root would write to it all the same. */
async function requireOpen(domain: Domain, path: string): Promise<void> {
  if (!isSealed(await Deno.stat(path))) return;
  throw new AppError(
    "conflict",
    `Start ${domain.name}: this version of its image is sealed. Copy the disk from its source to make a new one, ` +
      "reopen it, or start it with a virtual snapshot.",
  );
}

async function requireWholeChain(domain: Domain, path: string): Promise<void> {
  const missing = (await walkChain(path, null)).find((link) => link.missing);
  if (!missing) return;
  const what = missing.path === path ? "its disk image" : "an image that its disk is based on";
  throw new AppError(
    "conflict",
    `Start ${domain.name}: ${what}, ${missing.path}, is missing. Restore the file` +
      (domain.role === "vdi" ? " or populate the machine again." : "."),
  );
}

function requireFree(domain: Domain, path: string, holders: Holder[], virtualSnapshot: boolean): void {
  const others = holders.filter((holder) => holder.id !== domain.id);
  const writers = others.filter((holder) => holder.writes).map((holder) => holder.name);
  if (writers.length > 0) {
    throw new AppError(
      "conflict",
      `Start ${domain.name}: ${
        listNames(writers)
      } is running on the same disk image, ${path}. Shut it down first.`,
    );
  }
  const clones = others.filter((holder) => holder.as === "backing").map((holder) => holder.name);
  if (clones.length === 0 || virtualSnapshot) return;
  const remedy = domain.role === "initial"
    ? "Copy the disk from its source, which makes a new version of the image, or start it with a virtual snapshot."
    : "Start it with a virtual snapshot.";
  throw new AppError(
    "conflict",
    `Start ${domain.name}: its disk image is the base of ${listNames(clones)} and must not change. ${remedy}`,
  );
}

/** The machine's disks as they are now, each with its image files from the active layer down to the base. */
export async function disksOf(host: Host, id: string): Promise<MachineDisk[]> {
  const { disks } = readDomain(await host.virsh.dumpXml(id));
  return await Promise.all(disks.map(async ({ target, bus, device, path, format }) => {
    const links = path === null ? [] : await walkChain(path, format);
    return { target, bus, device, chain: await Promise.all(links.map((link) => describeLink(host, link))) };
  }));
}

async function describeLink(host: Host, { path, format, header, missing }: Link): Promise<DiskLayer> {
  const stat = missing ? null : await statIfPresent(path);
  if (!stat) {
    return { path, format: format ?? "unknown", virtualBytes: 0, allocatedBytes: 0, kind: "missing" };
  }
  const allocatedBytes = (stat.blocks ?? 0) * 512;
  return {
    path,
    format: format ?? "raw",
    virtualBytes: await readVirtualBytes(path, format),
    allocatedBytes,
    kind: host.scratchDirs().some((dir) => path.startsWith(`${dir}/`))
      ? "scratch"
      : header?.backingName
      ? "overlay"
      : "image",
  };
}
