import type { z } from "zod";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import type { DeletedFiles } from "../../contracts/storage.ts";
import type { Host } from "../host.ts";
import { listNames, readUses, type Uses } from "../images/uses.ts";
import { isWorkedOn } from "./report.ts";
import { requireOwnEntry } from "./directories.ts";

const what = "Delete";

/**
 * Deletes files in the agent's directories that nothing uses, each for itself. A link goes, what it leads to stays.
 * Overlays go before what they are based on, in whatever order they are asked for.
 * @throws {AppError} `hypervisor_failed` while libvirt does not answer: nobody knows then what is used.
 */
export async function deleteFiles(
  host: Host,
  paths: readonly string[],
): Promise<z.infer<typeof DeletedFiles>> {
  await host.domains.sync();
  const results = new Map<string, { deleted: boolean; message: string | null }>();
  let left = [...new Set(paths)];
  // What was in the way of a base may have gone with the files before it.
  for (let uses = await readUses(host);; uses = await readUses(host)) {
    let deleted = 0;
    for (const path of left) {
      const message = await deleteOne(host, path, uses);
      if (message === null) deleted++;
      results.set(path, { deleted: message === null, message });
    }
    left = left.filter((path) => !results.get(path)!.deleted);
    if (deleted === 0 || left.length === 0) break;
  }
  return { items: paths.map((path) => ({ path, ...results.get(path)! })) };
}

/** @returns why it was not deleted, or null. */
async function deleteOne(host: Host, path: string, uses: Uses): Promise<string | null> {
  try {
    const entry = await requireOwnEntry(host, path, what);
    if (isWorkedOn(host, path) || isWorkedOn(host, entry)) {
      throw new AppError("conflict", `${what} ${path}: a job or an upload is working on it.`);
    }
    using _lock = await host.locks.hold([entry], { purpose: "it is being deleted" });
    const stat = await Deno.lstat(entry);
    if (stat.isDirectory) throw new AppError("invalid", `${what} ${path}: it is a directory.`);
    const holders = stat.isSymlink ? [] : await uses.of(entry);
    if (holders.length > 0) {
      throw new AppError(
        "conflict",
        `${what} ${path}: ${listNames(holders.map(({ name }) => name))} uses it.`,
      );
    }
    requireNoSnapshot(host, entry);
    await Deno.remove(entry);
    host.log.info({ path: entry }, "deleted a file");
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "There is no such file any more.";
    if (!(error instanceof AppError)) host.log.error({ err: error, path }, "a file could not be deleted");
    return errorInfoOf(error).message;
  }
}

/** Scratch files are in no definition: a running machine with a virtual snapshot holds its own. */
function requireNoSnapshot(host: Host, path: string): void {
  const running = host.domains.all().find(({ id, virtualSnapshot }) =>
    virtualSnapshot && path.endsWith(`/${id}.scratch.qcow2`)
  );
  if (running) throw new AppError("conflict", `${what} ${path}: ${running.name} is running on it.`);
}
