import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { statIfPresent } from "../images/files.ts";
import { listNames, readUses } from "../images/uses.ts";
import { requireOwnEntry } from "./directories.ts";

export interface OpenedFile {
  totalBytes: number;
  /** From `from` to the end. Cancel it or read it to its end. */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/**
 * Opens a file of the agent's directories, to be sent away as it is.
 * @throws {AppError} `invalid` for any other file; `not_found`; `conflict` while a running machine writes to it.
 */
export async function openFile(host: Host, path: string, from: number): Promise<OpenedFile> {
  const real = await requireFileWithin(host, path);
  const writers = (await (await readUses(host)).of(real)).filter((holder) => holder.writes);
  if (writers.length > 0) {
    const names = listNames(writers.map(({ name }) => name));
    throw new AppError("conflict", `Read ${path}: ${names} is running on it. Shut it down first.`);
  }
  const file = await Deno.open(real);
  try {
    const { size } = await file.stat();
    if (from > size) throw new AppError("invalid", `Read ${path} from ${from} on: it has ${size} bytes.`);
    await file.seek(from, Deno.SeekMode.Start);
    return { totalBytes: size, body: file.readable };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A link may lead from one of our directories to another, and no further. */
async function requireFileWithin(host: Host, path: string): Promise<string> {
  const entry = await requireOwnEntry(host, path, "Read");
  const stat = await statIfPresent(entry);
  if (!stat) throw new AppError("not_found", `Read ${path}: there is no such file.`);
  if (!stat.isFile) throw new AppError("invalid", `Read ${path}: it is not a file.`);
  const real = await Deno.realPath(entry);
  await requireOwnEntry(host, real, "Read");
  return real;
}
