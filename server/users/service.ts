import type { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { CreateUser, Me, UpdateUser, User } from "../../contracts/user.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { isUniqueViolation } from "../db/open.ts";
import type { Db, UserRow } from "../db/schema.ts";
import {
  changeUser,
  countAdmins,
  deleteUserRow,
  findUser,
  hasAdmin,
  insertUser,
  renderUsers,
  userRow,
} from "./store.ts";

/** @throws {AppError} `not_found` */
export async function requireUser(db: Db, id: string): Promise<UserRow> {
  const row = await findUser(db, id);
  if (!row) throw new AppError("not_found", "There is no such user; perhaps it was deleted meanwhile.");
  return row;
}

export async function getUser(app: App, id: string): Promise<User> {
  const [user] = await renderUsers(app.db, [await requireUser(app.db, id)], app.now());
  return user!;
}

export const meOf = (row: UserRow): Me => ({
  id: row.id,
  username: row.username,
  displayName: row.display_name,
  role: row.role,
});

/** @throws {AppError} `conflict` when the name is taken, in whatever case. */
export async function createUser(app: App, input: z.output<typeof CreateUser>, actor: Actor): Promise<User> {
  const row = userRow({ ...input, passwordHash: await app.passwords.hash(input.password) }, app.now());
  await insertNewUser(app.db, row);
  app.bus.publish({ type: "user", id: row.id });
  await audit(app, {
    actor,
    action: "user.create",
    subjectId: row.id,
    subjectName: row.username,
    detail: `role ${row.role}`,
  });
  return await getUser(app, row.id);
}

/** Whether there is anybody who is, or was, an admin. */
export const isAdministered = (app: Pick<App, "db">) => hasAdmin(app.db);

/**
 * Makes the first admin, together with `also` or not at all.
 * @throws {AppError} `conflict` when there is an admin.
 */
export async function createFirstAdmin(
  app: App,
  input: Pick<z.output<typeof CreateUser>, "username" | "displayName" | "password">,
  also: (trx: Db) => Promise<void>,
): Promise<UserRow> {
  const row = userRow(
    { ...input, role: "admin", passwordHash: await app.passwords.hash(input.password) },
    app.now(),
  );
  await app.db.transaction().execute(async (trx) => {
    if (await hasAdmin(trx)) {
      throw new AppError("conflict", "The setup was done already. Sign in as an admin.");
    }
    await insertNewUser(trx, row);
    await also(trx);
  });
  return row;
}

async function insertNewUser(db: Db, row: UserRow): Promise<void> {
  try {
    await insertUser(db, row);
  } catch (error) {
    if (!isUniqueViolation(error, "users.username_key")) throw error;
    throw new AppError("conflict", `There is a user ${row.username} already. Choose another user name.`);
  }
}

/**
 * Changes a user. A new password, another role and disabling end the user's sessions at once.
 * @throws {AppError} `not_found`; `conflict` when nobody would be left who can administrate.
 */
export async function updateUser(
  app: App,
  id: string,
  changes: z.output<typeof UpdateUser>,
  actor: Actor,
): Promise<User> {
  const passwordHash = changes.password === undefined
    ? undefined
    : await app.passwords.hash(changes.password);
  const before = await app.db.transaction().execute(async (trx) => {
    const row = await requireUser(trx, id);
    const losesAdmin = (changes.role ?? "admin") !== "admin" || changes.disabled === true;
    if (losesAdmin) await requireOtherAdmin(trx, row);
    await changeUser(trx, id, {
      ...(changes.displayName !== undefined && { display_name: changes.displayName }),
      ...(changes.role !== undefined && { role: changes.role }),
      ...(changes.disabled !== undefined && { disabled: changes.disabled ? 1 : 0 }),
      ...(passwordHash !== undefined && { password_hash: passwordHash }),
    });
    return row;
  });
  if (changes.unlock || passwordHash !== undefined) await app.signInGuard.unlock(before.username);
  const roleChanged = changes.role !== undefined && changes.role !== before.role;
  if (roleChanged || changes.disabled || passwordHash !== undefined) await app.sessions.endAllOf(id);
  else app.sessions.refresh(id);
  if (changes.disabled) app.tickets.revoke({ userId: id }, "leaseEnded");
  app.bus.publish({ type: "user", id });
  await audit(app, {
    actor,
    action: "user.update",
    subjectId: id,
    subjectName: before.username,
    detail: describeChanges(changes),
  });
  return await getUser(app, id);
}

function describeChanges(
  { displayName, role, disabled, password, unlock }: z.output<typeof UpdateUser>,
): string {
  return [
    displayName !== undefined && "display name",
    role !== undefined && `role ${role}`,
    disabled !== undefined && (disabled ? "disabled" : "enabled"),
    password !== undefined && "new password",
    unlock && "unlocked",
  ].filter(Boolean).join(", ");
}

/** @throws {AppError} `conflict` if the user is the only one who can administrate. */
async function requireOtherAdmin(db: Db, row: UserRow): Promise<void> {
  if (row.role !== "admin" || row.disabled === 1) return;
  if (await countAdmins(db, row.id) > 0) return;
  throw new AppError(
    "conflict",
    `${row.username} is the only admin. Make somebody else an admin first, then try again.`,
  );
}

/** Deletes a user; what the user holds is given back. */
export async function deleteUser(app: App, id: string, actor: Actor): Promise<void> {
  const row = await requireUser(app.db, id);
  await requireOtherAdmin(app.db, row);
  await app.db.transaction().execute(async (trx) => {
    await requireOtherAdmin(trx, await requireUser(trx, id));
    await deleteUserRow(trx, id);
  });
  await app.sessions.endAllOf(id);
  app.tickets.revoke({ userId: id }, "leaseEnded");
  app.bus.publish({ type: "user", id });
  await audit(app, { actor, action: "user.delete", subjectId: id, subjectName: row.username });
}
