import type { ImageResult } from "../../contracts/agent.ts";
import { readImageHeader } from "../inventory/image_header.ts";

/** Tells of a qcow2 image that a job has made. */
export async function describeImage(
  path: string,
  { version = null, sha256 = null }: Partial<Pick<ImageResult, "version" | "sha256">> = {},
): Promise<ImageResult> {
  const [stat, header] = await Promise.all([Deno.stat(path), readImageHeader(path, "qcow2")]);
  return {
    path,
    version,
    format: "qcow2",
    virtualBytes: header?.virtualBytes ?? stat.size,
    allocatedBytes: (stat.blocks ?? 0) * 512,
    bytes: stat.size,
    sha256,
  };
}
