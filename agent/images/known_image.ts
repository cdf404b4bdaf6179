import { basename, dirname, join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { readDomain } from "../libvirt/domain_xml.ts";
import { statIfPresent } from "./files.ts";
import { readQcow2Header } from "./qcow2_header.ts";

/** An image file that a job or request was given by its path. */
export interface KnownImage {
  path: string;
  format: string;
  /** The domains that have it as a disk of theirs. */
  userIds: string[];
}

/** What to hold in `locks` for an image file: equal for whatever path leads there, and to what deleting it holds. */
export async function imageKey(path: string): Promise<string> {
  return join(await Deno.realPath(dirname(path)), basename(path));
}

/**
 * Makes sure that a path names a disk image: one that some domain uses, or a qcow2 file; any other file of the host is
 * nobody's business.
 * @throws {AppError} `not_found`; `invalid` for anything else.
 */
export async function requireImage(host: Host, path: string, what: string): Promise<KnownImage> {
  const stat = await statIfPresent(path);
  if (!stat?.isFile) throw new AppError("not_found", `${what}: there is no file ${path} on this hypervisor.`);
  const header = await readQcow2Header(path).catch((cause) => {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError("invalid", `${what}: the header of ${path} is damaged.`, { cause });
  });
  if (header?.externalData) {
    throw new AppError(
      "invalid",
      `${what}: the contents of ${path} are in another file, which is not supported.`,
    );
  }
  const userIds = host.domains.all()
    .filter(({ disks }) => disks.some((disk) => disk.device === "disk" && disk.path === path))
    .map(({ id }) => id);
  if (userIds[0] !== undefined) return { path, format: await formatIn(host, userIds[0], path), userIds };
  if (!header) throw new AppError("invalid", `${what}: ${path} is not a qcow2 image.`);
  return { path, format: "qcow2", userIds };
}

/** A guest can write a qcow2 header into its raw disk: its definition decides. */
async function formatIn(host: Host, id: string, path: string): Promise<string> {
  const { disks } = readDomain(await host.virsh.dumpXml(id, { inactive: true }));
  return disks.find((disk) => disk.path === path)?.format ?? "raw";
}

/** Sealed images are read-only for everybody. */
export const isSealed = ({ mode }: Deno.FileInfo): boolean => ((mode ?? 0o777) & 0o222) === 0;
