import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/**
 * Puts an executable in its place: whoever starts it gets the old or the new one, never half of it, and what runs from
 * the old one goes on with that.
 */
export async function replaceExecutable(from: string, to: string): Promise<void> {
  using file = await Deno.open(from);
  await file.sync();
  await Deno.chmod(from, 0o755);
  await Deno.rename(from, to);
  using directory = await Deno.open(dirname(to));
  await directory.sync();
}

/** A path beside an executable for the next one: on the same file system, and hidden. */
export const besideExecutable = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${crypto.randomUUID().slice(0, 8)}`);

/** SHA-256 of a file in hex; null when there is none. */
export async function sha256Of(path: string): Promise<string | null> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const hash = createHash("sha256");
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}
