import type { Db, SessionRow } from "../db/schema.ts";

/** Writes the session if the user still has the password that was just checked, and may sign in; says whether it did. */
export async function insertSession(db: Db, row: SessionRow, passwordHash: string): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db.insertInto("sessions")
    .columns(["token_hash", "user_id", "kind", "address", "created_at", "expires_at"])
    .expression((insert) =>
      insert.selectFrom("users")
        .select(({ val }) => [
          val(row.token_hash).as("token_hash"),
          "id",
          val(row.kind).as("kind"),
          val(row.address).as("address"),
          val(row.created_at).as("created_at"),
          val(row.expires_at).as("expires_at"),
        ])
        .where("id", "=", row.user_id).where("password_hash", "=", passwordHash).where("disabled", "=", 0)
    )
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

/** The session with its user, unless it has expired or the user was disabled. */
export async function findSession(db: Db, tokenHash: string, now: number) {
  return await db.selectFrom("sessions").innerJoin("users", "users.id", "sessions.user_id")
    .select(["users.id", "users.username", "users.display_name", "users.role", "sessions.expires_at"])
    .where("sessions.token_hash", "=", tokenHash).where("sessions.expires_at", ">", now)
    .where("users.disabled", "=", 0).executeTakeFirst();
}

export async function deleteSession(db: Db, tokenHash: string): Promise<void> {
  await db.deleteFrom("sessions").where("token_hash", "=", tokenHash).execute();
}

export async function deleteSessionsOf(db: Db, userId: string, exceptTokenHash?: string): Promise<void> {
  await db.deleteFrom("sessions").where("user_id", "=", userId)
    .$if(exceptTokenHash !== undefined, (sessions) => sessions.where("token_hash", "!=", exceptTokenHash!))
    .execute();
}

export async function deleteExpiredSessions(db: Db, now: number): Promise<void> {
  await db.deleteFrom("sessions").where("expires_at", "<=", now).execute();
}
