import assert from "node:assert/strict";
import { crc32, inflateSync } from "node:zlib";
import { encodePng, isPng, parsePpm } from "./png.ts";

const ppm = (head: string, pixels: number[]) =>
  new Uint8Array([...new TextEncoder().encode(head), ...pixels]);

Deno.test("encodePng() writes the pixels of a PPM with right checksums", async () => {
  const pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3];
  const png = await encodePng(parsePpm(ppm("P6\n2 2\n255\n", pixels)));
  assert.ok(isPng(png));
  const view = new DataView(png.buffer);
  const chunks: { type: string; body: Uint8Array }[] = [];
  for (let at = 8; at < png.length;) {
    const length = view.getUint32(at);
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    assert.equal(view.getUint32(at + 8 + length), crc32(png.subarray(at + 4, at + 8 + length)));
    chunks.push({ type, body: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  assert.deepEqual(chunks.map(({ type }) => type), ["IHDR", "IDAT", "IEND"]);
  assert.deepEqual([...chunks[0]!.body], [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
  assert.deepEqual([...inflateSync(chunks[1]!.body)], [0, ...pixels.slice(0, 6), 0, ...pixels.slice(6)]);
});

Deno.test("parsePpm() refuses what is not a whole picture", () => {
  assert.throws(() => parsePpm(ppm("P6\n2 2\n255\n", [1, 2, 3])), { code: "hypervisor_failed" });
  assert.throws(() => parsePpm(ppm("P5\n1 1\n255\n", [1])), { code: "hypervisor_failed" });
  assert.throws(() => parsePpm(ppm("P6\n99999999 1\n255\n", [1])), { code: "hypervisor_failed" });
  assert.deepEqual(parsePpm(ppm("P6\n# by QEMU\n1 1\n255\n", [7, 8, 9])).rgb, new Uint8Array([7, 8, 9]));
});
