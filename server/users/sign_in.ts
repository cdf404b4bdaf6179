import type { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { ChangePassword, Session, SignIn } from "../../contracts/user.ts";
import { version } from "../../lib/version.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { SessionRow, UserRow } from "../db/schema.ts";
import { meOf, requireUser } from "./service.ts";
import type { LiveSession } from "./sessions.ts";
import { changeUser, findUserByName } from "./store.ts";

export type SignedIn = z.output<typeof Session> & { token: string };

/**
 * Signs in with name and password. Unknown names, wrong passwords and disabled accounts cannot be told apart without
 * the right password, neither by the answer nor by the time it takes.
 * @throws {AppError} `unauthenticated`, `forbidden` (disabled), `too_many_attempts`.
 */
export async function signIn(
  app: App,
  input: z.output<typeof SignIn>,
  address: string | null,
): Promise<SignedIn> {
  const { username, password, kind } = input;
  let known: UserRow | undefined;
  try {
    const user = await app.signInGuard.attempt(username, address, async () => {
      known = await findUserByName(app.db, username);
      return await app.passwords.verify(password, known?.password_hash ?? null) ? known! : null;
    });
    if (!user) throw new AppError("unauthenticated", "The user name or the password is wrong.");
    if (user.disabled) {
      throw new AppError("forbidden", "Your account is disabled. Ask an admin to enable it.");
    }
    const session = await startSession(app, user, kind, address);
    await audit(app, { actor: { username: user.username, address }, action: "session.sign-in" });
    return session;
  } catch (error) {
    if (error instanceof AppError) await auditRefusal(app, error, known, address);
    throw error;
  }
}

/** Names that nobody has are not written down: people type passwords into the wrong field. */
async function auditRefusal(app: App, error: AppError, user: UserRow | undefined, address: string | null) {
  // Further attempts while locked would fill the log; the one that locked the account is in it.
  if (error.code === "too_many_attempts") return;
  await audit(app, {
    actor: { username: user?.username ?? "(unknown)", address },
    action: "session.sign-in",
    outcome: "refused",
    detail: error.message,
  });
}

/** Starts a session for a user whose password was just checked. */
export async function startSession(
  app: App,
  user: UserRow,
  kind: SessionRow["kind"],
  address: string | null,
): Promise<SignedIn> {
  const { sessionHours, siteName } = app.settings.current();
  const session = await app.sessions.create(user, { kind, address, hours: sessionHours });
  if (!session) throw new AppError("unauthenticated", "Your account was just changed. Sign in again.");
  await changeUser(app.db, user.id, { last_sign_in_at: app.now() });
  app.bus.publish({ type: "user", id: user.id });
  return { user: meOf(user), ...session, siteName, version };
}

/** Sets the own password after checking the current one; ends the user's other sessions. */
export async function changePassword(
  app: App,
  { currentPassword, newPassword }: z.output<typeof ChangePassword>,
  actor: Actor,
  session: LiveSession,
): Promise<void> {
  const row = await requireUser(app.db, actor.id);
  const right = await app.signInGuard.attempt(
    row.username,
    actor.address,
    async () => await app.passwords.verify(currentPassword, row.password_hash) || null,
  );
  if (!right) {
    const message = "The current password is wrong.";
    throw new AppError("invalid", message, { details: [{ path: "currentPassword", message }] });
  }
  await changeUser(app.db, row.id, { password_hash: await app.passwords.hash(newPassword) });
  await app.sessions.endAllOf(row.id, session.key);
  await audit(app, { actor, action: "user.change-password", subjectId: row.id, subjectName: row.username });
}
