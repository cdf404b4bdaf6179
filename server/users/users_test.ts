import assert from "node:assert/strict";
import { startTestDashboard } from "../../tests/support/dashboard.ts";
import { insertUser, userRow } from "./store.ts";

const password = "long enough";

Deno.test("the last admin can neither be deleted, disabled nor demoted", async () => {
  await using test = await startTestDashboard();
  const { admin } = test;
  const { id } = (await admin.call("getSession")).user;
  const disabled =
    (await admin.call("createUser", { body: { username: "off", password, role: "admin" } })).user;
  await admin.call("updateUser", { id: disabled.id, body: { disabled: true } });
  for (const body of [{ role: "operator" as const }, { disabled: true }]) {
    await assert.rejects(admin.call("updateUser", { id, body }), { code: "conflict", message: /only admin/ });
  }
  await assert.rejects(admin.call("deleteUser", { id }), { code: "conflict", message: /only admin/ });
  await admin.call("createUser", { body: { username: "second", password, role: "admin" } });
  await admin.call("updateUser", { id, body: { role: "operator" } });
});

Deno.test("two admins who demote each other at the same time: one stays admin", async () => {
  await using test = await startTestDashboard();
  const second = await test.as("second", "admin");
  const first = (await test.admin.call("getSession")).user.id;
  const outcomes = await Promise.allSettled([
    test.admin.call("updateUser", { id: second.userId, body: { role: "user" } }),
    second.call("updateUser", { id: first, body: { role: "user" } }),
  ]);
  assert(outcomes.some(({ status }) => status === "rejected"));
  const admins = await test.app.db.selectFrom("users").select("id").where("role", "=", "admin").execute();
  assert.equal(admins.length, 1);
});

Deno.test("user names are unique whatever their case", async () => {
  await using test = await startTestDashboard();
  await test.admin.call("createUser", { body: { username: "Alice", password } });
  const again = test.admin.call("createUser", { body: { username: "aLICE", password } });
  await assert.rejects(again, { code: "conflict", message: /aLICE already/ });
});

Deno.test("users are listed by name, searched and paged over 5,000 of them", async () => {
  await using test = await startTestDashboard();
  await test.app.db.transaction().execute(async (trx) => {
    for (let i = 0; i < 5000; i++) {
      const username = `user${String(i).padStart(4, "0")}`;
      await insertUser(
        trx,
        userRow({ username, displayName: `Person ${i}`, role: "user", passwordHash: "x" }, 0),
      );
    }
  });
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await test.admin.call("listUsers", { query: { limit: 500, role: "user", cursor } });
    assert.equal(page.total, 5000);
    seen.push(...page.items.map(({ username }) => username));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  assert.equal(new Set(seen).size, 5000);
  assert.deepEqual(seen, seen.toSorted());
  const found = await test.admin.call("listUsers", { query: { q: "person 4321" } });
  assert.deepEqual(found.items.map(({ username }) => username), ["user4321"]);
  const jumped = await test.admin.call("listUsers", { query: { role: "user", offset: 4990 } });
  assert.equal(jumped.items.length, 10);
});

Deno.test("what is done to users is in the audit, without passwords", async () => {
  await using test = await startTestDashboard();
  const { user } = await test.admin.call("createUser", {
    body: { username: "alice", password: "secret-password-1" },
  });
  await test.admin.call("updateUser", {
    id: user.id,
    body: { password: "secret-password-2", role: "operator" },
  });
  await test.admin.call("deleteUser", { id: user.id });
  const { items } = await test.admin.call("listAudit", { query: { subjectId: user.id } });
  assert.deepEqual(items.map(({ action, actor }) => [action, actor]), [
    ["user.delete", "admin"],
    ["user.update", "admin"],
    ["user.create", "admin"],
  ]);
  assert.doesNotMatch(JSON.stringify(items), /secret-password/);
});

Deno.test("the audit does not keep names that nobody has: they may be passwords in the wrong field", async () => {
  await using test = await startTestDashboard();
  const body = { username: "my-secret-password", password: "x" };
  await assert.rejects(test.anonymous.call("signIn", { body }), { code: "unauthenticated" });
  const { items } = await test.admin.call("listAudit", { query: { outcome: "refused" } });
  assert.equal(items.length, 1);
  assert.doesNotMatch(JSON.stringify(items), /my-secret-password/);
});

Deno.test("a new display name shows in running sessions", async () => {
  await using test = await startTestDashboard();
  const bob = await test.as("bob");
  await bob.call("getSession");
  await test.admin.call("updateUser", { id: bob.userId, body: { displayName: "Bob B." } });
  assert.equal((await bob.call("getSession")).user.displayName, "Bob B.");
});

Deno.test("settings are changed, kept over a restart, and refused out of range", async () => {
  const dataDir = await Deno.makeTempDir();
  const test = await startTestDashboard({ dataDir });
  await test.admin.call("updateSettings", { body: { siteName: "Lab", sessionHours: 2 } });
  await assert.rejects(test.admin.call("updateSettings", { body: { sessionHours: 0 } }), { code: "invalid" });
  const again = await test.restart();
  const { settings } = await again.admin.call("getSettings");
  assert.deepEqual([settings.siteName, settings.sessionHours, settings.lockoutAttempts], ["Lab", 2, 5]);
  await again[Symbol.asyncDispose]();
  await Deno.remove(dataDir, { recursive: true });
});
