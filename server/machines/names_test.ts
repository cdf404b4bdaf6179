import assert from "node:assert/strict";
import { expandNames } from "./names.ts";

const taken = (...names: string[]) => new Set(names);

Deno.test("expandNames() counts from one, and on after the highest that is taken", () => {
  assert.deepEqual(expandNames("lab-{n}", 3, taken()), ["lab-1", "lab-2", "lab-3"]);
  assert.deepEqual(expandNames("lab-{n}", 2, taken("lab-1", "lab-7", "lab-x", "other-9")), [
    "lab-8",
    "lab-9",
  ]);
});

Deno.test("expandNames() pads to the digits of the counter", () => {
  assert.deepEqual(expandNames("PC{nn}", 2, taken("pc09")), ["PC10", "PC11"]);
  assert.deepEqual(expandNames("pc{nnn}-a", 1, taken()), ["pc001-a"]);
});

Deno.test("expandNames() takes a single name as it is, if it is free", () => {
  assert.deepEqual(expandNames("Win10", 1, taken("win11")), ["Win10"]);
  assert.throws(() => expandNames("Win10", 1, taken("win10")), { code: "conflict" });
});

Deno.test("expandNames() refuses patterns that cannot work", () => {
  for (
    const [pattern, count] of [["lab", 2], ["{n}{n}", 2], ["lab {n}", 2], [
      "x".repeat(62) + "{n}",
      20,
    ]] as const
  ) {
    assert.throws(() => expandNames(pattern, count, taken()), { code: "invalid" }, pattern);
  }
});
