import assert from "node:assert/strict";
import { Locks } from "./locks.ts";

/** Whether a promise is still pending after everything that can run now has run. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  await new Promise((resolve) => setTimeout(resolve));
  return await Promise.race([promise, Promise.resolve(pending)]) === pending;
}

const purpose = "it is being tested";

Deno.test("hold() waits until all of its keys are free", async () => {
  const locks = new Locks();
  const a = await locks.hold(["a"], { purpose });
  const b = await locks.hold(["b"], { purpose });
  const both = locks.hold(["a", "b"], { purpose });
  a[Symbol.dispose]();
  assert.ok(await isWaiting(both));
  b[Symbol.dispose]();
  (await both)[Symbol.dispose]();
});

Deno.test("hold() lets shared holders in together and an exclusive one alone", async () => {
  const locks = new Locks();
  const one = await locks.hold(["a"], { purpose, shared: true });
  const two = await locks.hold(["a"], { purpose, shared: true });
  const alone = locks.hold(["a"], { purpose });
  const later = locks.hold(["a"], { purpose, shared: true });
  one[Symbol.dispose]();
  assert.ok(await isWaiting(alone));
  two[Symbol.dispose]();
  const exclusive = await alone;
  assert.ok(await isWaiting(later), "first come, first served");
  exclusive[Symbol.dispose]();
  (await later)[Symbol.dispose]();
});

Deno.test("hold() shares some keys and keeps others to itself", async () => {
  const locks = new Locks();
  const one = await locks.hold(["vdi-1"], { purpose, sharedKeys: ["base"] });
  const two = await locks.hold(["vdi-2"], { purpose, sharedKeys: ["base"] });
  assert.ok(await isWaiting(locks.hold(["vdi-1"], { purpose, sharedKeys: ["base"] })));
  const alone = locks.hold(["base"], { purpose });
  one[Symbol.dispose]();
  assert.ok(await isWaiting(alone));
  two[Symbol.dispose]();
  assert.deepEqual(locks.heldKeys().sort(), ["base", "vdi-1"]);
});

Deno.test("hold() refuses a request at once while a job holds or waits for the key", async () => {
  const locks = new Locks();
  const request = await locks.hold(["a"], { purpose });
  assert.equal(locks.purposeOf("a"), undefined, "a request is over in a moment");
  const job = locks.hold(["a"], { purpose: "its disk is being copied", by: "job" });
  await assert.rejects(locks.hold(["a"], { purpose }), {
    code: "conflict",
    message: /its disk is being copied/,
  });
  request[Symbol.dispose]();
  const held = await job;
  assert.equal(locks.purposeOf("a"), "its disk is being copied");
  await assert.rejects(locks.hold(["a", "b"], { purpose }), { code: "conflict" });
  held[Symbol.dispose]();
  assert.equal(locks.purposeOf("a"), undefined);
});

Deno.test("hold() gives up its place when its signal aborts", async () => {
  const locks = new Locks();
  const first = await locks.hold(["a"], { purpose });
  const abort = new AbortController();
  const second = locks.hold(["a"], { purpose, signal: abort.signal });
  const third = locks.hold(["a"], { purpose });
  abort.abort(new Error("no longer wanted"));
  await assert.rejects(second, /no longer wanted/);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
});
