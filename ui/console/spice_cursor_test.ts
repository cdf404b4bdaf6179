import assert from "node:assert/strict";
import { type CursorImage, SpiceCursor } from "./spice_cursor.ts";

/** A SPICE_MSG_CURSOR_SET: position, visible, flags, then the header and pixels of the cursor. */
function setMessage(
  options: { flags: number; format: number; width: number; height: number; data: number[] },
) {
  const view = new DataView(new ArrayBuffer(5 + 2 + 17 + options.data.length + 2));
  view.setUint8(4, 1);
  view.setUint16(5, options.flags, true);
  view.setBigUint64(7, 42n, true);
  view.setUint8(15, options.format);
  [options.width, options.height, 1, 9].forEach((value, i) => view.setUint16(16 + 2 * i, value, true));
  options.data.forEach((byte, i) => view.setUint8(24 + i, byte));
  return view.buffer;
}

Deno.test("SpiceCursor reads a colour cursor and keeps the hot spot inside it", () => {
  const message = setMessage({ flags: 0, format: 0, width: 1, height: 1, data: [0, 64, 128, 128] });
  const image = new SpiceCursor().receive(103, message) as CursorImage;
  assert.deepEqual([...image.pixels], [255, 128, 0, 128]);
  assert.deepEqual([image.hotX, image.hotY], [0, 0]);
});

Deno.test("SpiceCursor reads a two-plane cursor: black, white, transparent", () => {
  const message = setMessage({ flags: 0, format: 1, width: 3, height: 1, data: [0b00100000, 0b01000000] });
  const image = new SpiceCursor().receive(103, message) as CursorImage;
  assert.deepEqual([...image.pixels], [0, 0, 0, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
});

Deno.test("SpiceCursor shows a cached cursor again, until the server drops it", () => {
  const cursor = new SpiceCursor();
  const full = { format: 0, width: 1, height: 1, data: [1, 2, 3, 255] };
  const image = cursor.receive(103, setMessage({ ...full, flags: 2 }));
  const again = setMessage({ ...full, flags: 4 });
  assert.equal(cursor.receive(103, again), image);
  cursor.receive(108, new ArrayBuffer(0));
  assert.equal(cursor.receive(103, again), null);
});

Deno.test("SpiceCursor ignores a cursor with less data than its size says", () => {
  const message = setMessage({ flags: 0, format: 0, width: 500, height: 500, data: [1, 2, 3] });
  assert.equal(new SpiceCursor().receive(103, message), null);
  assert.equal(new SpiceCursor().receive(103, new ArrayBuffer(3)), null);
});
