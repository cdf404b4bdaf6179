/** The smallest file that passes for an ISO 9660 image: a primary volume descriptor in its 17th sector. */
export function makeIso(): Uint8Array {
  const image = new Uint8Array(18 * 2048);
  image.set(new TextEncoder().encode("\x01CD001\x01"), 16 * 2048);
  image.set([0xff, ...new TextEncoder().encode("CD001\x01")], 17 * 2048);
  return image;
}
