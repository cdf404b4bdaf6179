import { backup, type DatabaseSync } from "node:sqlite";
import { AppError } from "../../contracts/errors.ts";

export interface Migration {
  name: string;
  sql: string;
}

export interface MigrationResult {
  from: number;
  to: number;
  /** The copy made before an existing database was changed. */
  backupPath: string | null;
}

/**
 * Brings the schema to the newest version, each migration in a transaction of its own; `user_version` is the number of
 * those applied. An existing database is copied to `backupPath(version)` first.
 * @throws {AppError} `conflict` when a newer release has written the database.
 */
export async function migrate(
  sqlite: DatabaseSync,
  migrations: readonly Migration[],
  backupPath: (version: number) => string | null,
): Promise<MigrationResult> {
  const from = schemaVersion(sqlite);
  const to = migrations.length;
  if (from > to) {
    throw new AppError(
      "conflict",
      `The database has schema ${from}, this release knows up to ${to}: it was used by a newer kvm-vdi. ` +
        `Start that release, or restore a backup from before the upgrade.`,
    );
  }
  const path = from > 0 && from < to ? backupPath(from) : null;
  if (path !== null) await backup(sqlite, path);
  for (const [index, migration] of migrations.entries()) {
    if (index >= from) applyMigration(sqlite, migration, index + 1);
  }
  return { from, to, backupPath: path };
}

export function schemaVersion(sqlite: DatabaseSync): number {
  return Number(sqlite.prepare("PRAGMA user_version").get()?.user_version ?? 0);
}

function applyMigration(sqlite: DatabaseSync, { name, sql }: Migration, version: number): void {
  // Tables that are rebuilt would take their referrers with them; the check before the commit makes up for it.
  sqlite.exec("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE");
  try {
    sqlite.exec(sql);
    const broken = sqlite.prepare("PRAGMA foreign_key_check").all();
    if (broken.length > 0) throw new Error(`${broken.length} rows refer to rows that do not exist`);
    sqlite.exec(`PRAGMA user_version = ${version}; COMMIT`);
  } catch (cause) {
    sqlite.exec("ROLLBACK");
    throw new Error(`migration ${name} failed; the database is as it was before`, { cause });
  } finally {
    sqlite.exec("PRAGMA foreign_keys = ON");
  }
}
