import assert from "node:assert/strict";
import { progressReader } from "./qemu_img.ts";

Deno.test("progressReader() reads percentages from pieces that end anywhere", () => {
  const seen: number[] = [];
  const read = progressReader((fraction) => seen.push(fraction));
  for (
    const piece of ["    (0.00/100%)\r    (12.", "34/100%)\r", "    (50.00/100%)\r    (51.00/100%)\r (9", ""]
  ) read(piece);
  read("9.99/100%)\r    (100.00/100%)\r\n");
  assert.deepEqual(seen.map((fraction) => Math.round(fraction * 10_000)), [0, 1234, 5100, 10_000]);
});

Deno.test("progressReader() ignores everything else", () => {
  const read = progressReader(() => assert.fail("no percentage was printed"));
  for (const piece of ["warning: (x/100%)\n", "(1/200%)\r", "\r\r\r"]) read(piece);
});
