import assert from "node:assert/strict";
import { defaultCapacity, type Hypervisor } from "../../../contracts/hypervisor.ts";
import { previewSpread } from "./spread_preview.ts";

const host = (name: string, memoryMiB: number, committedMiB = 0) =>
  ({
    name,
    facts: { memoryMiB },
    capacity: defaultCapacity,
    committed: { memoryMiB: committedMiB, vcpus: 0, running: 0 },
  }) as Hypervisor;
const counts = (shares: ReturnType<typeof previewSpread>) => shares.map((one) => one.count);

Deno.test("previewSpread() gives more to the hypervisor with more memory left", () => {
  assert.deepEqual(counts(previewSpread([host("a", 8000), host("b", 8000, 4000)], 6, 1000)), [5, 1]);
});

Deno.test("previewSpread() gives every desktop a place, and equal hosts equal shares", () => {
  assert.deepEqual(counts(previewSpread([host("a", 1000), host("b", 1000)], 10, 1000)), [5, 5]);
  assert.deepEqual(previewSpread([], 10, 1000), []);
});
