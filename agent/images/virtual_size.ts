import { readImageInfo } from "../libvirt/qemu_img.ts";
import { readQcow2Header } from "./qcow2_header.ts";

/** The size of the disk that an image stands for; needs a process only for formats other than qcow2 and raw. */
export async function readVirtualBytes(path: string, format: string | null): Promise<number> {
  if (format === null || format === "raw") return (await Deno.stat(path)).size;
  const header = format === "qcow2" ? await readQcow2Header(path) : null;
  return header?.virtualBytes ?? (await readImageInfo(path, { format })).virtualBytes;
}
