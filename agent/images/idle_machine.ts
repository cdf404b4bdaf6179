import type { Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { type ParsedDisk, type ParsedDomain, readDomain } from "../libvirt/domain_xml.ts";
import { isHeldForWriting } from "../libvirt/qemu_img.ts";
import { walkChain } from "./links.ts";
import { listNames, type Uses } from "./uses.ts";

/** A machine that is off, as libvirt has it now. */
export interface IdleMachine {
  domain: Domain;
  /** The persistent definition with its secrets: for redefining, never for showing. */
  xml: string;
  parsed: ParsedDomain;
  /** The first writable disk that is an image file. */
  disk: (ParsedDisk & { path: string }) | null;
}

/**
 * Why a domain's disks must not be touched now; null when they may.
 * @param busyIds as libvirt has just listed them: events about a start may still be on their way
 */
export async function busyReason(
  host: Host,
  id: string,
  busyIds: ReadonlySet<string>,
): Promise<string | null> {
  if (!busyIds.has(id)) return null;
  const domain = await host.domains.refresh(id);
  return domain?.state === "shut-off"
    ? "it is suspended to disk. Start it and shut it down first"
    : `it is ${domain?.state ?? "unknown"}. Shut it down first`;
}

/**
 * Reads a machine from libvirt and makes sure that it is off.
 * @param what what is being attempted, as "Copy the disk"
 * @param busyIds the domains that libvirt tells to be busy, when that has been asked for anyway
 * @throws {AppError} `not_found`, `conflict`.
 */
export async function requireIdleMachine(
  host: Host,
  id: string,
  what: string,
  busyIds?: Promise<ReadonlySet<string>>,
): Promise<IdleMachine> {
  const domain = host.domains.get(id) ?? await host.domains.refresh(id);
  if (!domain) throw new AppError("not_found", `${what}: there is no domain ${id} on this hypervisor.`);
  const [busy, xml] = await Promise.all([
    busyIds ?? host.virsh.listBusy(),
    host.virsh.dumpXml(id, { inactive: true, securityInfo: true }),
  ]);
  const reason = await busyReason(host, id, busy);
  if (reason) throw new AppError("conflict", `${what}: ${domain.name} is in use: ${reason}.`);
  const parsed = readDomain(xml);
  return { domain, xml, parsed, disk: firstDisk(parsed) };
}

/** The first writable disk that is an image file; null when there is none. */
export function firstDisk({ disks }: ParsedDomain): IdleMachine["disk"] {
  const disk = disks.find(({ device, path, readOnly }) => device === "disk" && path !== null && !readOnly);
  return disk ? { ...disk, path: disk.path! } : null;
}

/**
 * Makes sure that nothing writes to an image or to what it is based on: no domain, managed or not, and no other
 * process, as QEMU's image locks tell.
 * @throws {AppError} `conflict` naming who does.
 */
export async function requireQuiet(
  image: { path: string; format: string },
  uses: Uses,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { path, format, missing } of await walkChain(image.path, image.format)) {
    if (missing) throw new AppError("conflict", `${what}: ${path} is missing. Restore the file.`);
    await requireQuietFile({ path, format: format ?? "raw" }, uses, what, signal);
  }
}

/** The same for one file, whatever it is based on. */
export async function requireQuietFile(
  { path, format }: { path: string; format: string },
  uses: Uses,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  const writers = (await uses.of(path)).filter((holder) => holder.writes).map((holder) => holder.name);
  if (writers.length > 0) {
    throw new AppError(
      "conflict",
      `${what}: ${listNames(writers)} is running on ${path}. Shut it down first.`,
    );
  }
  if (!await isHeldForWriting(path, format, { signal })) return;
  const holders = await processesWith(path);
  const by = holders.length > 0 ? listNames(holders) : "a process";
  throw new AppError("conflict", `${what}: ${path} is being written to by ${by}. Stop it first.`);
}

/** Names and ids of the processes that have a file open, for messages. */
async function processesWith(path: string): Promise<string[]> {
  const real = await Deno.realPath(path);
  const found: string[] = [];
  for await (const { name: pid } of Deno.readDir("/proc")) {
    if (/^\d+$/.test(pid) && await hasOpen(pid, real)) {
      const command = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "process");
      found.push(`${command.trim()} (process ${pid})`);
    }
  }
  return found;
}

/** False also for a process that has ended meanwhile. */
async function hasOpen(pid: string, real: string): Promise<boolean> {
  try {
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      if (await Deno.readLink(`/proc/${pid}/fd/${name}`) === real) return true;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
  return false;
}
