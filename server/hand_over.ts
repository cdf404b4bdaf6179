import { dirname, join } from "node:path";
import { lchown } from "node:fs/promises";
import { AppError } from "../contracts/errors.ts";

/**
 * Makes the data directory, if need be, and gives it to the dashboard's user. One that root owns is handed over with what
 * is in it; in one that belongs to somebody else root changes nothing, since that user could have put links there.
 */
export async function handOver(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  const { uid: owner } = await Deno.lstat(path);
  if (owner === uid) return;
  if (owner !== 0) {
    throw new AppError(
      "invalid",
      `The data directory ${path} belongs to user id ${owner}, not to the dashboard's (${uid}). ` +
        `Change its owner, or choose another with --data-dir.`,
    );
  }
  await giveTree(path, uid, gid);
}

async function giveTree(path: string, uid: number, gid: number): Promise<void> {
  for await (const entry of Deno.readDir(path)) {
    const child = join(path, entry.name);
    if (entry.isDirectory) await giveTree(child, uid, gid);
    else await lchown(child, uid, gid);
  }
  await lchown(path, uid, gid);
}
