import type { ImageResult } from "../../contracts/agent.ts";
import { readImageHeader } from "../inventory/image_header.ts";

/** Tells of an image that a job has made. */
export async function describeImage(
  path: string,
  { format = "qcow2", version = null, sha256 = null }: Partial<
    Pick<ImageResult, "format" | "version" | "sha256">
  > = {},
): Promise<ImageResult> {
  const [stat, header] = await Promise.all([Deno.stat(path), readImageHeader(path, format)]);
  return {
    path,
    version,
    format,
    virtualBytes: header?.virtualBytes ?? stat.size,
    allocatedBytes: (stat.blocks ?? 0) * 512,
    bytes: stat.size,
    sha256,
  };
}
