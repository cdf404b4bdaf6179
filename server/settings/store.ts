import type { Db } from "../db/schema.ts";

export async function readSettings(db: Db): Promise<Record<string, string>> {
  const rows = await db.selectFrom("settings").selectAll().execute();
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

export async function writeSetting(db: Db, key: string, value: string): Promise<void> {
  await db.insertInto("settings").values({ key, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value })).execute();
}

export async function deleteSetting(db: Db, key: string): Promise<void> {
  await db.deleteFrom("settings").where("key", "=", key).execute();
}
