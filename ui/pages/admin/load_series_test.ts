import assert from "node:assert/strict";
import type { LoadPoint } from "../../../contracts/hypervisor.ts";
import { seriesOf, thinned } from "./load_series.ts";

const point = (at: number, cpuPercent = at): LoadPoint => ({
  at,
  cpuPercent,
  memoryUsedMiB: 1,
  running: 2,
  freeBytes: 3,
});

Deno.test("seriesOf() breaks the line where the host was not measured", () => {
  const { times, values } = seriesOf([0, 60, 120, 600, 660].map((at) => point(at)), "cpuPercent");
  assert.deepEqual(times, [0, 60, 120, 180, 600, 660]);
  assert.deepEqual(values, [0, 60, 120, null, 600, 660]);
});

Deno.test("seriesOf() takes a point that is a little late as no gap", () => {
  assert.deepEqual(seriesOf([0, 60, 190, 250].map((at) => point(at)), "running").values, [2, 2, 2, 2]);
  assert.deepEqual(seriesOf([], "running"), { times: [], values: [] });
});

Deno.test("thinned() keeps the first and the last point", () => {
  const many = Array.from({ length: 1441 }, (_, n) => point(n));
  const few = thinned(many, 25);
  assert.deepEqual([few.length, few[0]!.at, few.at(-1)!.at], [25, 0, 1440]);
  assert.equal(thinned(few, 25), few);
});
