import assert from "node:assert/strict";
import { sql } from "kysely";
import { migrations } from "../../migrations/index.ts";
import { hypervisorRow } from "../../tests/support/rows.ts";
import { migrate } from "./migrate.ts";
import { escapeLike, isForeignKeyViolation, isUniqueViolation, openDatabase } from "./open.ts";
import type { Db } from "./schema.ts";

async function withDatabase(work: (db: Db) => Promise<void>) {
  const { db, sqlite, close } = openDatabase(":memory:");
  await migrate(sqlite, migrations, () => null);
  try {
    await work(db);
  } finally {
    await close();
  }
}

const hypervisor = (name: string, socketPath: string) => hypervisorRow(name, { socket_path: socketPath });

Deno.test("isUniqueViolation() tells which constraint was violated", () =>
  withDatabase(async (db) => {
    await db.insertInto("hypervisors").values(hypervisor("One", "/one")).execute();
    const sameName = await db.insertInto("hypervisors").values(hypervisor("ONE", "/two")).execute().catch((
      e,
    ) => e);
    assert(isUniqueViolation(sameName));
    assert(isUniqueViolation(sameName, "hypervisors.name_key"));
    assert(!isUniqueViolation(sameName, "hypervisors.socket_path"));
    assert(!isUniqueViolation(new Error("something else")));
  }));

Deno.test("openDatabase() enforces foreign keys", () =>
  withDatabase(async (db) => {
    const orphan = await db.insertInto("entitlements")
      .values({ desktop_pool_id: crypto.randomUUID(), user_id: crypto.randomUUID() }).execute().catch((e) =>
        e
      );
    assert(isForeignKeyViolation(orphan));
  }));

Deno.test("transactions do not see each other's half and none is lost", () =>
  withDatabase(async (db) => {
    await db.insertInto("settings").values({ key: "n", value: "0" }).execute();
    const increment = () =>
      db.transaction().execute(async (trx) => {
        const { value } = await trx.selectFrom("settings").select("value").where("key", "=", "n")
          .executeTakeFirstOrThrow();
        await new Promise((resolve) => setTimeout(resolve, 1));
        await trx.updateTable("settings").set({ value: String(Number(value) + 1) }).where("key", "=", "n")
          .execute();
      });
    await Promise.all(Array.from({ length: 20 }, increment));
    const { value } = await db.selectFrom("settings").select("value").where("key", "=", "n")
      .executeTakeFirstOrThrow();
    assert.equal(value, "20");
  }));

Deno.test("a transaction that throws leaves nothing behind", () =>
  withDatabase(async (db) => {
    const failing = db.transaction().execute(async (trx) => {
      await trx.insertInto("settings").values({ key: "a", value: "1" }).execute();
      throw new Error("no");
    });
    await assert.rejects(failing, /no/);
    assert.deepEqual(await db.selectFrom("settings").selectAll().execute(), []);
  }));

Deno.test("escapeLike() takes the meaning from wildcards", () =>
  withDatabase(async (db) => {
    const matches = async (text: string, pattern: string) => {
      const { rows } = await sql<{ hit: number }>`
        SELECT ${text} LIKE ${`%${escapeLike(pattern)}%`} ESCAPE '\\' AS hit`.execute(db);
      return rows[0]!.hit === 1;
    };
    assert(await matches("100% sure", "100%"));
    assert(!await matches("1000 sure", "100%"));
    assert(await matches("a_b", "a_b"));
    assert(!await matches("axb", "a_b"));
    assert(await matches("a\\b", "a\\b"));
  }));
