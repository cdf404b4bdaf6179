import { type ExpressionBuilder, sql } from "kysely";
import type { z } from "zod";
import type { Page } from "../../contracts/common.ts";
import type { User, UserQuery, UserRole } from "../../contracts/user.ts";
import { escapeLike } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import type { Db, Flag, Schema, UserRow } from "../db/schema.ts";

/** User names are compared without regard to case. */
export const usernameKey = (username: string) => username.toLowerCase();

export async function insertUser(db: Db, row: UserRow): Promise<void> {
  await db.insertInto("users").values(row).execute();
}

export async function findUser(db: Db, id: string): Promise<UserRow | undefined> {
  return await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
}

/** By name, whatever its case; the whole name: no character is a wildcard. */
export async function findUserByName(db: Db, username: string): Promise<UserRow | undefined> {
  return await db.selectFrom("users").selectAll().where("username_key", "=", usernameKey(username))
    .executeTakeFirst();
}

export async function changeUser(
  db: Db,
  id: string,
  changes: Partial<Omit<UserRow, "id" | "username" | "username_key">>,
): Promise<void> {
  if (Object.keys(changes).length === 0) return;
  await db.updateTable("users").set(changes).where("id", "=", id).execute();
}

export async function deleteUserRow(db: Db, id: string): Promise<void> {
  await db.deleteFrom("users").where("id", "=", id).execute();
}

/** Admins who can sign in, other than the one given. */
export async function countAdmins(db: Db, exceptId?: string): Promise<number> {
  const { count } = await db.selectFrom("users").select(({ fn }) => fn.countAll<number>().as("count"))
    .where("role", "=", "admin").where("disabled", "=", 0)
    .$if(exceptId !== undefined, (users) => users.where("id", "!=", exceptId!))
    .executeTakeFirstOrThrow();
  return count;
}

/** Whether there is any admin, able to sign in or not. */
export async function hasAdmin(db: Db): Promise<boolean> {
  return await db.selectFrom("users").select("id").where("role", "=", "admin").executeTakeFirst() !==
    undefined;
}

/** Names with failed sign-ins, for the guard that outlives a restart. */
export async function listFailedSignIns(db: Db) {
  return await db.selectFrom("users").select(["username_key", "failed_sign_ins", "locked_until"])
    .where((where) => where.or([where("failed_sign_ins", ">", 0), where("locked_until", "is not", null)]))
    .execute();
}

export async function writeFailedSignIns(
  db: Db,
  key: string,
  failedSignIns: number,
  lockedUntil: number | null,
): Promise<void> {
  await db.updateTable("users").set({ failed_sign_ins: failedSignIns, locked_until: lockedUntil })
    .where("username_key", "=", key).execute();
}

export async function listUsers(
  db: Db,
  query: z.output<typeof UserQuery>,
  now: number,
): Promise<Page<User>> {
  const matching = db.selectFrom("users").where((where) => where.and(filters(where, query)));
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const rows = await matching.selectAll().orderBy("username_key")
    .$if(query.cursor !== undefined, (users) => users.where("username_key", ">", query.cursor!))
    .limit(query.limit + 1)
    .$if(query.offset !== undefined && query.cursor === undefined, (users) => users.offset(query.offset!))
    .execute();
  return cursorPage(
    await renderUsers(db, rows, now),
    query.limit,
    total,
    (last) => usernameKey(last.username),
  );
}

function filters(where: ExpressionBuilder<Schema, "users">, query: z.output<typeof UserQuery>) {
  const conditions = [];
  if (query.role !== undefined) conditions.push(where("role", "=", query.role));
  if (query.desktopPoolId !== undefined) {
    conditions.push(
      where.exists(
        where.selectFrom("entitlements").select("user_id").whereRef("user_id", "=", "users.id")
          .where("desktop_pool_id", "=", query.desktopPoolId),
      ),
    );
  }
  if (query.q) {
    const pattern = `%${escapeLike(query.q)}%`;
    conditions.push(
      sql<boolean>`(username LIKE ${pattern} ESCAPE '\\' OR display_name LIKE ${pattern} ESCAPE '\\')`,
    );
  }
  return conditions;
}

/** Adds to each row the desktop pools that the user may use. */
export async function renderUsers(db: Db, rows: UserRow[], now: number): Promise<User[]> {
  if (rows.length === 0) return [];
  const pools = await db.selectFrom("entitlements")
    .innerJoin("desktop_pools", "desktop_pools.id", "entitlements.desktop_pool_id")
    .select(["entitlements.user_id", "desktop_pools.id", "desktop_pools.name"])
    .where("entitlements.user_id", "in", rows.map(({ id }) => id)).orderBy("desktop_pools.name_key")
    .execute();
  const byUser = Map.groupBy(pools, (pool) => pool.user_id);
  return rows.map((row) => ({
    id: row.id,
    username: row.username,
    displayName: row.display_name,
    role: row.role,
    disabled: row.disabled === 1,
    lockedUntil: row.locked_until !== null && row.locked_until > now ? row.locked_until : null,
    desktopPools: (byUser.get(row.id) ?? []).map(({ id, name }) => ({ id, name })),
    lastSignInAt: row.last_sign_in_at,
    createdAt: row.created_at,
  }));
}

export interface NewUser {
  username: string;
  displayName: string;
  role: UserRole;
  passwordHash: string;
}

export function userRow({ username, displayName, role, passwordHash }: NewUser, now: number): UserRow {
  return {
    id: crypto.randomUUID(),
    username,
    username_key: usernameKey(username),
    display_name: displayName,
    role,
    password_hash: passwordHash,
    disabled: 0 satisfies Flag,
    failed_sign_ins: 0,
    locked_until: null,
    last_sign_in_at: null,
    created_at: now,
  };
}
