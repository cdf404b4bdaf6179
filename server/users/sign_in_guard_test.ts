import assert from "node:assert/strict";
import { migrations } from "../../migrations/index.ts";
import { migrate } from "../db/migrate.ts";
import { openDatabase } from "../db/open.ts";
import { SignInGuard } from "./sign_in_guard.ts";
import { findUserByName, insertUser, userRow } from "./store.ts";

const limits = { attempts: 3, lockMs: 60_000 };

async function makeGuard() {
  const { db, sqlite, close } = openDatabase(":memory:");
  await migrate(sqlite, migrations, () => null);
  await insertUser(db, userRow({ username: "Alice", displayName: "", role: "user", passwordHash: "x" }, 0));
  const clock = { now: 1_000 };
  const load = () => SignInGuard.load(db, () => clock.now, () => limits);
  return { db, clock, load, guard: await load(), [Symbol.asyncDispose]: close };
}

const wrong = () => Promise.resolve(null);
const right = () => Promise.resolve("welcome");
const locked = { code: "too_many_attempts" };

Deno.test("SignInGuard locks a name after too many wrong passwords, even for the right one, until the time is up", async () => {
  await using test = await makeGuard();
  const { guard, clock } = test;
  for (let i = 0; i < 3; i++) assert.equal(await guard.attempt("alice", null, wrong), null);
  await assert.rejects(guard.attempt("ALICE", null, right), locked);
  clock.now += limits.lockMs + 1;
  assert.equal(await guard.attempt("alice", null, right), "welcome");
});

Deno.test("SignInGuard treats names that nobody has in the same way", async () => {
  await using test = await makeGuard();
  const outcomes = async (name: string) => {
    const seen: unknown[] = [];
    for (let i = 0; i < 5; i++) {
      seen.push(await test.guard.attempt(name, null, wrong).catch((error) => error.message));
    }
    return seen;
  };
  assert.deepEqual(await outcomes("nobody"), await outcomes("alice"));
});

Deno.test("SignInGuard forgets failures after a success", async () => {
  await using test = await makeGuard();
  for (let i = 0; i < 10; i++) {
    assert.equal(
      await test.guard.attempt("alice", null, i % 3 === 2 ? right : wrong),
      i % 3 === 2 ? "welcome" : null,
    );
  }
});

Deno.test("SignInGuard cannot be outrun by attempts at the same time", async () => {
  await using test = await makeGuard();
  let tried = 0;
  const slowlyWrong = async () => {
    tried++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return null;
  };
  const attempts = Array.from({ length: 50 }, () => test.guard.attempt("alice", null, slowlyWrong));
  const outcomes = await Promise.allSettled(attempts);
  assert.equal(tried, limits.attempts);
  assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 50 - limits.attempts);
});

Deno.test("SignInGuard lets one person sign in from many places at once", async () => {
  await using test = await makeGuard();
  const attempts = Array.from({ length: 20 }, () => test.guard.attempt("alice", "10.0.0.1", right));
  assert.deepEqual(new Set(await Promise.all(attempts)), new Set(["welcome"]));
});

Deno.test("SignInGuard slows an address that tries many names", async () => {
  await using test = await makeGuard();
  for (let i = 0; i < 60; i++) await test.guard.attempt(`user${i}`, "10.0.0.9", wrong);
  await assert.rejects(test.guard.attempt("alice", "10.0.0.9", right), locked);
  assert.equal(await test.guard.attempt("alice", "10.0.0.10", right), "welcome");
});

Deno.test("SignInGuard lets one address try only so much at once", async () => {
  await using test = await makeGuard();
  let tried = 0;
  const slowlyWrong = async () => {
    tried++;
    await new Promise((resolve) => setTimeout(resolve, 2));
    return null;
  };
  const attempts = Array.from(
    { length: 500 },
    (_, i) => test.guard.attempt(`u${i}`, "10.0.0.9", slowlyWrong),
  );
  await Promise.allSettled(attempts);
  assert.equal(tried, limits.attempts * 20);
});

Deno.test("SignInGuard forgives an address what was long ago", async () => {
  await using test = await makeGuard();
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 50; i++) await test.guard.attempt(`r${round}u${i}`, "10.0.0.9", wrong);
    test.clock.now += limits.lockMs + 1;
  }
  assert.equal(await test.guard.attempt("alice", "10.0.0.9", right), "welcome");
});

Deno.test("SignInGuard remembers a lock over a restart, and unlock() ends it", async () => {
  await using test = await makeGuard();
  for (let i = 0; i < 3; i++) await test.guard.attempt("alice", null, wrong);
  const restarted = await test.load();
  await assert.rejects(restarted.attempt("alice", null, right), locked);
  await restarted.unlock("Alice");
  assert.equal(await restarted.attempt("alice", null, right), "welcome");
  assert.equal((await findUserByName(test.db, "alice"))?.locked_until, null);
});
