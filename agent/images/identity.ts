import { createHash } from "node:crypto";
import { AppError } from "../../contracts/errors.ts";
import type { FileIdentity } from "../../contracts/storage.ts";
import { statIfPresent } from "./files.ts";
import { readQcow2Header } from "./qcow2_header.ts";
import { readVirtualBytes } from "./virtual_size.ts";

const headBytes = 64 * 1024;

/** What tells a file from any other, also across hosts. @throws {AppError} `not_found`, `invalid`. */
export async function identifyFile(path: string): Promise<FileIdentity> {
  const stat = await statIfPresent(path);
  if (!stat?.isFile) throw new AppError("not_found", `There is no file ${path} on this hypervisor.`);
  const header = await readQcow2Header(path).catch((cause) => {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError("invalid", `Read ${path}: its header is damaged.`, { cause });
  });
  const format = header ? "qcow2" : "raw";
  return {
    path,
    bytes: stat.size,
    modifiedAt: stat.mtime?.getTime() ?? 0,
    format,
    backingPath: header?.backingPath ?? null,
    virtualBytes: await readVirtualBytes(path, format),
    headSha256: await hashHead(path),
  };
}

async function hashHead(path: string): Promise<string> {
  using file = await Deno.open(path);
  const head = new Uint8Array(headBytes);
  let length = 0;
  for (;;) {
    const read = await file.read(head.subarray(length));
    if (read === null || read === 0) break;
    length += read;
  }
  return createHash("sha256").update(head.subarray(0, length)).digest("hex");
}
