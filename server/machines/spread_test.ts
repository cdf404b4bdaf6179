import assert from "node:assert/strict";
import fc from "fast-check";
import { spread } from "./spread.ts";

const countsOf = (ids: string[]) =>
  Object.fromEntries(Map.groupBy(ids, (id) => id).entries().map(([id, some]) => [id, some.length]));

Deno.test("spread() fills hypervisors in proportion to what they can run", () => {
  const targets = [{ id: "small", slots: 10, machines: 0 }, { id: "large", slots: 30, machines: 0 }];
  assert.deepEqual(countsOf(spread(40, targets)), { small: 10, large: 30 });
  assert.deepEqual(countsOf(spread(8, targets)), { small: 2, large: 6 });
});

Deno.test("spread() makes up for what is there already", () => {
  const targets = [{ id: "full", slots: 10, machines: 9 }, { id: "empty", slots: 10, machines: 0 }];
  assert.deepEqual(countsOf(spread(9, targets)), { empty: 9 });
  assert.deepEqual(countsOf(spread(3, targets.slice(0, 1))), { full: 3 });
});

Deno.test("spread() spreads evenly where nothing has room for even one", () => {
  const targets = [{ id: "a", slots: 0, machines: 1 }, { id: "b", slots: 0, machines: 0 }];
  assert.deepEqual(countsOf(spread(3, targets)), { a: 1, b: 2 });
});

Deno.test("spread() places all, and equal hypervisors differ by one at most", () => {
  fc.assert(fc.property(fc.nat(200), fc.integer({ min: 1, max: 8 }), fc.nat(50), (count, hosts, slots) => {
    const targets = Array.from({ length: hosts }, (_, n) => ({ id: `hv${n}`, slots, machines: 0 }));
    const ids = spread(count, targets);
    assert.equal(ids.length, count);
    const counts = targets.map(({ id }) => ids.filter((one) => one === id).length);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
  }));
});
