import { type Qcow2Header, readQcow2Header } from "../images/qcow2_header.ts";

export interface ImageHeader {
  format: "qcow2" | "raw" | "iso";
  virtualBytes: number;
  /** Absolute; null without one. */
  backingPath: string | null;
}

/**
 * Reads the start of an image without starting a process (a host has thousands). A guest can write anything to the
 * start of a raw image: pass the `format` that QEMU is told whenever it is known. Null when the file is not there.
 */
export async function readImageHeader(path: string, format?: string | null): Promise<ImageHeader | null> {
  try {
    const qcow2 = (format ?? "qcow2") === "qcow2" ? await readQcow2Header(path) : null;
    return qcow2 ? summarize(qcow2) : await readRaw(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
}

const summarize = ({ virtualBytes, backingPath }: Qcow2Header): ImageHeader => ({
  format: "qcow2",
  virtualBytes,
  backingPath,
});

/** ISO 9660 has its mark in the 17th sector. */
async function readRaw(path: string): Promise<ImageHeader> {
  using file = await Deno.open(path);
  const virtualBytes = await file.seek(0, Deno.SeekMode.End);
  await file.seek(0x8001, Deno.SeekMode.Start);
  const label = new Uint8Array(5);
  await file.read(label);
  const isIso = new TextDecoder().decode(label) === "CD001";
  return { format: isIso ? "iso" : "raw", virtualBytes, backingPath: null };
}
