import assert from "node:assert/strict";
import { buttonMask, buttonMessage, filterChannels, keyMessage, positionMessage } from "./spice_messages.ts";

const bytes = (buffer: ArrayBuffer) => [...new Uint8Array(buffer)];

Deno.test("keyMessage() is a mini header and the scan code, little endian", () => {
  assert.deepEqual(bytes(keyMessage(0xd3e0, false)), [102, 0, 4, 0, 0, 0, 0xe0, 0xd3, 0, 0]);
});

Deno.test("positionMessage() and buttonMessage() have the sizes of the protocol", () => {
  assert.deepEqual(bytes(positionMessage(258, 3, 1)), [112, 0, 11, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0, 1, 0, 0]);
  assert.deepEqual(bytes(buttonMessage(3, true, 4)), [113, 0, 3, 0, 0, 0, 3, 4, 0]);
});

Deno.test("buttonMask() swaps middle and right, and shifts back and forward past the wheel", () => {
  assert.deepEqual([1, 2, 4, 8, 16, 3].map(buttonMask), [1, 4, 2, 32, 64, 5]);
});

Deno.test("filterChannels() drops what the page does not show and survives a count that lies", () => {
  const list = new Uint8Array([5, 0, 0, 0, 9, 0, 5, 0, 3, 0, 2, 0, 4, 0]).buffer;
  assert.deepEqual(bytes(filterChannels(list, [2, 3, 4, 5])), [4, 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
  assert.deepEqual(bytes(filterChannels(new Uint8Array([255, 255, 255, 255, 2, 0]).buffer, [2])), [
    1,
    0,
    0,
    0,
    2,
    0,
  ]);
});
