/**
 * SQLite through node:sqlite, behind Kysely. One connection: Kysely lets one query or one transaction at it at a time,
 * so transactions are serialized. Inside a transaction use its `trx` and never `app.db`, which would wait for it.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement } from "kysely";
import type { Db, Schema } from "./schema.ts";

const cachedStatements = 500;

export interface OpenDatabase {
  db: Db;
  /** The connection itself, for migrations and backups. */
  sqlite: DatabaseSync;
  close(): Promise<void>;
}

/** Opens (or creates) a database file; `:memory:` for tests. The schema is migrate()'s business. */
export function openDatabase(path: string): OpenDatabase {
  const sqlite = new DatabaseSync(path);
  // WAL: readers (backups, sqlite3) never block us. NORMAL: a power cut may lose the last commits, never the database.
  sqlite.exec(`
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA cache_size = -16000;
    PRAGMA temp_store = MEMORY;
  `);
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: preparedDatabase(sqlite) }) });
  return {
    db,
    sqlite,
    close: async () => {
      await db.destroy();
      if (sqlite.isOpen) sqlite.close();
    },
  };
}

/** Keeps prepared statements, least recently used first: preparing costs several times what running does. */
function preparedDatabase(sqlite: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => sqlite.close(),
    prepare: (text) => {
      let statement = statements.get(text);
      if (statement) statements.delete(text);
      // A deferred transaction that reads first could fail when it turns into a writer.
      else statement = kyselyStatement(sqlite.prepare(text === "begin" ? "begin immediate" : text));
      statements.set(text, statement);
      if (statements.size > cachedStatements) statements.delete(statements.keys().next().value!);
      return statement;
    },
  };
}

function kyselyStatement(statement: StatementSync): SqliteStatement {
  const values = (parameters: ReadonlyArray<unknown>) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}

/**
 * Whether a write failed because of a uniqueness constraint; with `columns` (`"users.username_key"`), of that very one.
 * SQLite tells them apart only by text: "UNIQUE constraint failed: table.column, table.column".
 */
export function isUniqueViolation(error: unknown, ...columns: string[]): boolean {
  if (!(error instanceof Error)) return false;
  const failed = /^UNIQUE constraint failed: (.+)$/.exec(error.message)?.[1]?.split(", ");
  return failed !== undefined && columns.every((column) => failed.includes(column)) &&
    (columns.length === 0 || failed.length === columns.length);
}

/** Whether a write failed because a row it refers to does not exist, or because a row is still referred to. */
export function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("FOREIGN KEY constraint failed");
}

/** Escapes what LIKE would take for wildcards; use with `ESCAPE '\'`. */
export const escapeLike = (text: string) => text.replace(/[\\%_]/g, "\\$&");
