import assert from "node:assert/strict";
import fc from "fast-check";
import { type KeptVersion, versionsToDrop } from "./gc.ts";

const day = 24 * 3600_000;
const now = 1000 * day;
const version = (number: number, changes: Partial<KeptVersion> = {}): KeptVersion => ({
  id: `v${number}`,
  number,
  sealed: true,
  sealedAt: now - 100 * day + number * day,
  needed: false,
  ...changes,
});

Deno.test("versionsToDrop() keeps the newest and what is needed, and counts both", () => {
  const versions = [version(5, { needed: true }), version(4), version(3), version(2), version(1)];
  assert.deepEqual(versionsToDrop(versions, { keepVersions: 3, keepDays: 14 }, now), ["v2", "v1"]);
  const rolledBack = [version(5), version(4), version(3), version(2, { needed: true }), version(1)];
  assert.deepEqual(versionsToDrop(rolledBack, { keepVersions: 2, keepDays: 14 }, now), ["v4", "v3", "v1"]);
});

Deno.test("versionsToDrop() keeps what is young, however many", () => {
  const young = [5, 4, 3, 2, 1].map((number) => version(number, { sealedAt: now - (6 - number) * day }));
  assert.deepEqual(versionsToDrop(young, { keepVersions: 1, keepDays: 3 }, now), ["v3", "v2", "v1"]);
});

Deno.test("versionsToDrop() never drops a draft, what is needed, or below the number to keep", () => {
  const some = fc.array(
    fc.record({ sealed: fc.boolean(), needed: fc.boolean(), age: fc.nat({ max: 60 }) }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(some, fc.integer({ min: 1, max: 5 }), fc.nat({ max: 30 }), (list, keepVersions, keepDays) => {
      const versions = list.map(({ age, ...rest }, index) =>
        version(index + 1, { ...rest, sealedAt: now - age * day })
      );
      const dropped = new Set(versionsToDrop(versions, { keepVersions, keepDays }, now));
      for (const { id, sealed, needed, sealedAt } of versions.filter(({ id }) => dropped.has(id))) {
        assert.ok(sealed && !needed && now - sealedAt >= keepDays * day, id);
      }
      const sealed = versions.filter((one) => one.sealed);
      const left = sealed.filter(({ id }) => !dropped.has(id)).length;
      assert.ok(left >= Math.min(keepVersions, sealed.length));
    }),
  );
});
