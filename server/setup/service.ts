import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { Setup } from "../../contracts/user.ts";
import type { App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { deleteOwnValue, readOwnValue, writeOwnValue } from "../settings/service.ts";
import { createFirstAdmin, isAdministered } from "../users/service.ts";
import { type SignedIn, startSession } from "../users/sign_in.ts";

const tokenKey = "setup-token";
const digest = (token: string) => createHash("sha256").update(token).digest();

export const isSetupRequired = async (app: Pick<App, "db">) => !await isAdministered(app);

/** Makes the one-time token of the setup link, which voids the one of an earlier start; null once there is an admin. */
export async function makeSetupToken(app: Pick<App, "db">): Promise<string | null> {
  if (!await isSetupRequired(app)) return null;
  const token = randomBytes(32).toString("base64url");
  await writeOwnValue(app.db, tokenKey, digest(token).toString("base64url"));
  return token;
}

/**
 * Makes the first admin and signs in.
 * @throws {AppError} `conflict` when there is an admin, `forbidden` when the token is not the current one.
 */
export async function setUp(
  app: App,
  input: z.output<typeof Setup>,
  address: string | null,
): Promise<SignedIn> {
  await requireToken(app, input.token);
  const row = await createFirstAdmin(app, input, (trx) => deleteOwnValue(trx, tokenKey));
  if (input.siteName !== undefined) await app.settings.change(app.db, { siteName: input.siteName });
  await audit(app, {
    actor: { username: row.username, address },
    action: "setup.finish",
    subjectId: row.id,
    subjectName: row.username,
  });
  return await startSession(app, row, "cookie", address);
}

async function requireToken(app: App, token: string): Promise<void> {
  if (!await isSetupRequired(app)) {
    throw new AppError("conflict", "The setup was done already. Sign in as an admin.");
  }
  const expected = await readOwnValue(app.db, tokenKey);
  if (expected !== null && timingSafeEqual(Buffer.from(expected, "base64url"), digest(token))) return;
  throw new AppError(
    "forbidden",
    "This setup link is not valid. Use the one that the dashboard printed when it was last started.",
  );
}
