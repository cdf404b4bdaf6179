import { AppError } from "../../contracts/errors.ts";

/** Pixels as red, green and blue bytes, row by row. */
export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array<ArrayBuffer>;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const largestSide = 16_384;

export const isPng = (bytes: Uint8Array): boolean => signature.every((byte, index) => bytes[index] === byte);

/**
 * Reads a binary PPM with 8 bits a colour, as QEMU's screendump writes (https://netpbm.sourceforge.net/doc/ppm.html).
 * @throws {AppError} `hypervisor_failed` when it is anything else.
 */
export function parsePpm(bytes: Uint8Array<ArrayBuffer>): Picture {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  const match = /^P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s/.exec(head);
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  const rgb = bytes.subarray(match?.[0].length ?? 0);
  if (!match || width > largestSide || height > largestSide || rgb.length < width * height * 3) {
    throw new AppError("hypervisor_failed", "Could not read the picture of the screen: neither PNG nor PPM.");
  }
  return { width, height, rgb: rgb.subarray(0, width * height * 3) };
}

/** Writes a PNG (https://www.w3.org/TR/png-3/): 8 bits RGB, no filter, one IDAT chunk. */
export async function encodePng({ width, height, rgb }: Picture): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8);
  const rowBytes = width * 3;
  const rows = new Uint8Array(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) {
    rows.set(rgb.subarray(y * rowBytes, (y + 1) * rowBytes), y * (rowBytes + 1) + 1);
  }
  return join([
    new Uint8Array(signature),
    chunk("IHDR", header),
    chunk("IDAT", await deflate(rows)),
    chunk("IEND", new Uint8Array()),
  ]);
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(type: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const body = join([new TextEncoder().encode(type), content]);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return chunk;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
