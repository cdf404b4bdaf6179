/** The guest's pointer image, from SPICE's cursor channel (spice.proto, `Cursor`). */

export interface CursorImage {
  width: number;
  height: number;
  hotX: number;
  hotY: number;
  /** RGBA, not premultiplied. */
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

const Type = {
  init: 101,
  reset: 102,
  set: 103,
  move: 104,
  hide: 105,
  invalidateOne: 107,
  invalidateAll: 108,
};
const Flag = { none: 1, cacheMe: 2, fromCache: 4 };
const Format = { alpha: 0, mono: 1, color32: 6 };
/** Where the cursor begins: after the position, (trail,) and visibility. */
const cursorOffset: Record<number, number> = { [Type.init]: 9, [Type.set]: 5 };
const cursorHeaderBytes = 19;
const maxSide = 1024;

/** Follows the messages of one cursor channel, and remembers the images that the server refers back to. */
export class SpiceCursor {
  readonly #cache = new Map<bigint, CursorImage>();

  /** @returns the image to show, "hidden", "default", or null when nothing changes (or we cannot draw it) */
  receive(type: number, data: ArrayBuffer): CursorImage | "hidden" | "default" | null {
    if (type === Type.hide) return "hidden";
    if (type === Type.reset || type === Type.invalidateAll) this.#cache.clear();
    if (type === Type.reset) return "default";
    const offset = cursorOffset[type];
    if (offset === undefined || data.byteLength < offset + 2) return null;
    const view = new DataView(data);
    if (view.getUint8(offset - 1) === 0) return "hidden";
    const flags = view.getUint16(offset, true);
    return flags & Flag.none ? "default" : this.#image(new DataView(data, offset + 2), flags);
  }

  #image(view: DataView, flags: number): CursorImage | null {
    if (view.byteLength < cursorHeaderBytes) return null;
    const unique = view.getBigUint64(0, true);
    if (flags & Flag.fromCache) return this.#cache.get(unique) ?? null;
    const [width, height, hotX, hotY] = [9, 11, 13, 15].map((at) => view.getUint16(at, true));
    if (!width || !height || width > maxSide || height > maxSide) return null;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + 17);
    const pixels = decode(view.getUint8(8), bytes, width, height);
    if (!pixels) return null;
    const image = {
      width,
      height,
      hotX: Math.min(hotX!, width - 1),
      hotY: Math.min(hotY!, height - 1),
      pixels,
    };
    if (flags & Flag.cacheMe) this.#cache.set(unique, image);
    return image;
  }
}

type Pixels = Uint8ClampedArray<ArrayBuffer>;

function decode(format: number, bytes: Uint8Array, width: number, height: number): Pixels | null {
  const area = width * height;
  const maskBytes = Math.ceil(width / 8) * height;
  if (format === Format.alpha && bytes.length >= area * 4) return decodeAlpha(bytes, area);
  if (format === Format.mono && bytes.length >= 2 * maskBytes) return decodeMono(bytes, width, height);
  if (format === Format.color32 && bytes.length >= area * 4 + maskBytes) {
    return decodeColour(bytes, width, height);
  }
  return null;
}

/** Premultiplied BGRA. */
function decodeAlpha(bytes: Uint8Array, area: number): Pixels {
  const pixels = new Uint8ClampedArray(area * 4);
  for (let at = 0; at < area * 4; at += 4) {
    const alpha = bytes[at + 3]!;
    for (let colour = 0; colour < 3; colour++) {
      pixels[at + colour] = alpha === 0 ? 0 : bytes[at + 2 - colour]! * 255 / alpha;
    }
    pixels[at + 3] = alpha;
  }
  return pixels;
}

const bitAt = (bytes: Uint8Array, rowBytes: number, x: number, y: number) =>
  (bytes[y * rowBytes + (x >> 3)]! >> (7 - (x & 7))) & 1;

/** Two bit planes: AND, then XOR. Where both are set the screen would be inverted; black is as good there. */
function decodeMono(bytes: Uint8Array, width: number, height: number): Pixels {
  const rowBytes = Math.ceil(width / 8);
  const xor = bytes.subarray(rowBytes * height);
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const and = bitAt(bytes, rowBytes, x, y), white = bitAt(xor, rowBytes, x, y);
      if (and && !white) continue;
      pixels.fill(white && !and ? 255 : 0, at, at + 3);
      pixels[at + 3] = 255;
    }
  }
  return pixels;
}

/** BGRX and a bit plane of what is transparent. */
function decodeColour(bytes: Uint8Array, width: number, height: number): Pixels {
  const mask = bytes.subarray(width * height * 4);
  const rowBytes = Math.ceil(width / 8);
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      if (bitAt(mask, rowBytes, x, y)) continue;
      pixels.set([bytes[at + 2]!, bytes[at + 1]!, bytes[at]!, 255], at);
    }
  }
  return pixels;
}

/** The image as a CSS `cursor`. */
export function cssCursor(image: CursorImage | "hidden" | "default"): string {
  if (image === "default") return "default";
  if (image === "hidden") return "none";
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(new ImageData(image.pixels, image.width, image.height), 0, 0);
  return `url(${canvas.toDataURL()}) ${image.hotX} ${image.hotY}, default`;
}
