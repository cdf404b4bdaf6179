import type { z } from "zod";
import type { DiskCommand, Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { readOwnFile } from "../images/files.ts";
import { requireIdleMachine } from "../images/idle_machine.ts";
import { imageKey, requireImage } from "../images/known_image.ts";
import { walkChain } from "../images/links.ts";
import { listNames, readUses } from "../images/uses.ts";
import { setDisk, writeMetadata } from "../libvirt/domain_xml.ts";
import { requireDomain } from "./start_machine.ts";

/**
 * Switches the first disk of a machine that is off to another image, as an initial to another version.
 * @throws {AppError} `not_found`; `invalid` for what is no image; `conflict` when it runs, or the image is another's.
 */
export async function setMachineDisk(
  host: Host,
  id: string,
  { path, imageVersion }: z.infer<typeof DiskCommand>,
  signal?: AbortSignal,
): Promise<Domain> {
  const what = "Change the disk";
  await requireDomain(host, id);
  const { format } = await requireImage(host, path, what);
  using _lock = await host.locks.hold([id], {
    purpose: "its disk is being changed",
    sharedKeys: [await imageKey(path)],
    signal,
  });
  const { domain, xml, parsed, disk } = await requireIdleMachine(host, id, what);
  if (!parsed.machine) throw new AppError("conflict", `${what}: KVM-VDI does not manage ${domain.name}.`);
  const missing = (await walkChain(path, format)).find((link) => link.missing);
  if (missing) throw new AppError("conflict", `${what}: ${missing.path} is missing. Restore the file.`);
  const users = (await (await readUses(host)).of(path)).filter((holder) =>
    holder.id !== id && holder.as === "disk"
  );
  if (users.length > 0) {
    throw new AppError(
      "conflict",
      `${what}: ${path} is the disk of ${listNames(users.map(({ name }) => name))}.`,
    );
  }
  const owned = parsed.machine.owned || readOwnFile(host.imageDirs(), id, path) !== null;
  const changed = setDisk(xml, disk?.target ?? null, path, format);
  await host.virsh.define(writeMetadata(changed, { ...parsed.machine, owned, imageVersion }), { signal });
  return await host.domains.refresh(id) ?? domain;
}
