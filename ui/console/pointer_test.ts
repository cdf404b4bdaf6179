import assert from "node:assert/strict";
import { guestPoint } from "./pointer.ts";

const screen = { width: 1024, height: 768 };

Deno.test("guestPoint() undoes the scale and the place of the screen on the page", () => {
  const shown = { left: 100, top: 50, width: 512, height: 384 };
  assert.deepEqual(guestPoint({ clientX: 100, clientY: 50 }, shown, screen), { x: 0, y: 0 });
  assert.deepEqual(guestPoint({ clientX: 356, clientY: 242 }, shown, screen), { x: 512, y: 384 });
  assert.deepEqual(guestPoint({ clientX: 611.6, clientY: 433.6 }, shown, screen), { x: 1023, y: 767 });
});

Deno.test("guestPoint() keeps points beside the screen on its edge", () => {
  const shown = { left: 100, top: 50, width: 512, height: 384 };
  assert.deepEqual(guestPoint({ clientX: 0, clientY: 9999 }, shown, screen), { x: 0, y: 767 });
  assert.equal(guestPoint({ clientX: 1, clientY: 1 }, { ...shown, width: 0 }, screen), null);
});
