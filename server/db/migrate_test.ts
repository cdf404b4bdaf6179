import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrations } from "../../migrations/index.ts";
import { backupDaily } from "./backup.ts";
import { migrate, schemaVersion } from "./migrate.ts";

const first = { name: "0001_first", sql: "CREATE TABLE a (n INTEGER) STRICT;" };
const second = { name: "0002_second", sql: "ALTER TABLE a ADD COLUMN m TEXT;" };
const noCopy = () => null;

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("migrate() makes a new database without a backup", async () => {
  using sqlite = new DatabaseSync(":memory:");
  const copies: number[] = [];
  const result = await migrate(sqlite, migrations, (version) => (copies.push(version), null));
  assert.deepEqual([result.from, result.to, result.backupPath, copies], [0, migrations.length, null, []]);
  assert.equal(schemaVersion(sqlite), migrations.length);
});

Deno.test("migrate() copies an existing database before it changes it, and does nothing the second time", () =>
  inFolder(async (folder) => {
    using sqlite = new DatabaseSync(`${folder}/db`);
    await migrate(sqlite, [first], noCopy);
    sqlite.exec("INSERT INTO a VALUES (42)");
    const path = `${folder}/copy.db`;
    assert.equal((await migrate(sqlite, [first, second], () => path)).backupPath, path);
    using copy = new DatabaseSync(path);
    assert.equal(schemaVersion(copy), 1);
    assert.equal(copy.prepare("SELECT n FROM a").get()?.n, 42);
    const again = await migrate(sqlite, [first, second], () => `${folder}/other.db`);
    assert.deepEqual([again.from, again.to, again.backupPath], [2, 2, null]);
  }));

Deno.test("migrate() refuses a database of a newer release and says what to do", async () => {
  using sqlite = new DatabaseSync(":memory:");
  await migrate(sqlite, [first, second], noCopy);
  await assert.rejects(
    migrate(sqlite, [first], noCopy),
    /schema 2, this release knows up to 1.*newer kvm-vdi/,
  );
});

Deno.test("migrate() leaves the database as it was when a migration fails", async () => {
  using sqlite = new DatabaseSync(":memory:");
  await migrate(sqlite, [first], noCopy);
  const broken = { name: "0002_broken", sql: "CREATE TABLE b (n INTEGER); INSERT INTO nowhere VALUES (1);" };
  await assert.rejects(migrate(sqlite, [first, broken], noCopy), /0002_broken failed/);
  assert.equal(schemaVersion(sqlite), 1);
  assert.equal(sqlite.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'b'").get()?.n, 0);
});

Deno.test("migrate() refuses a migration that breaks references", async () => {
  using sqlite = new DatabaseSync(":memory:");
  const parts = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INTEGER REFERENCES p (id));" +
    "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);";
  await migrate(sqlite, [{ name: "0001_parts", sql: parts }], noCopy);
  const orphaning = { name: "0002_orphaning", sql: "DELETE FROM p;" };
  await assert.rejects(
    migrate(sqlite, [{ name: "0001_parts", sql: parts }, orphaning], noCopy),
    /0002_orphaning/,
  );
  assert.equal(sqlite.prepare("SELECT count(*) AS n FROM p").get()?.n, 1);
});

Deno.test("backupDaily() makes one whole copy a day and keeps seven", () =>
  inFolder(async (folder) => {
    using sqlite = new DatabaseSync(":memory:");
    await migrate(sqlite, [first], noCopy);
    const day = 86_400_000;
    const start = Date.now();
    const made = await backupDaily(sqlite, folder, start);
    assert(made !== null);
    using copy = new DatabaseSync(made);
    assert.equal(schemaVersion(copy), 1);
    assert.equal(await backupDaily(sqlite, folder, start + 1000), null);
    for (let i = 1; i < 10; i++) {
      const path = await backupDaily(sqlite, folder, start + i * day + 5000);
      await Deno.utime(path!, new Date(start + i * day), new Date(start + i * day));
    }
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    assert.equal(names.length, 7);
    assert(names.every((name) => name.endsWith(".db")));
  }));
