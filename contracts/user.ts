import { z } from "zod";
import { Id, ListQuery, Title, UnixMs } from "./common.ts";

/** admin: everything; operator: machines, pools and sessions, not users or settings; user: own desktops. */
export const UserRole = z.enum(["admin", "operator", "user"]);
export type UserRole = z.infer<typeof UserRole>;

/** Compared without regard to case; no character of it means anything to SQL, LDAP or a shell. */
export const Username = z.string().regex(
  /^[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$/,
  "use 1 to 64 letters, digits, dots, hyphens, underscores or @; start and end with a letter or digit",
);
export const NewPassword = z.string().min(8, "use at least 8 characters").max(256, "at most 256 characters");

export const User = z.object({
  id: Id,
  username: Username,
  displayName: z.string(),
  role: UserRole,
  disabled: z.boolean(),
  lockedUntil: UnixMs.nullable().describe("set after too many wrong passwords"),
  desktopPools: z.array(z.object({ id: Id, name: z.string() })),
  lastSignInAt: UnixMs.nullable(),
  createdAt: UnixMs,
});
export type User = z.infer<typeof User>;

export const CreateUser = z.object({
  username: Username,
  displayName: z.string().trim().max(80).default(""),
  role: UserRole.default("user"),
  password: NewPassword,
});
export const UpdateUser = z.object({
  displayName: z.string().trim().max(80),
  role: UserRole,
  disabled: z.boolean(),
  password: NewPassword,
  unlock: z.literal(true).describe("ends a lockout"),
}).partial();
export const UserQuery = ListQuery.extend({ role: UserRole.optional(), desktopPoolId: Id.optional() });

/** Who is signed in. */
export const Me = z.object({ id: Id, username: z.string(), displayName: z.string(), role: UserRole });
export type Me = z.infer<typeof Me>;

export const SignIn = z.object({
  username: z.string().min(1, "enter your user name").max(256),
  password: z.string().min(1, "enter your password").max(1024),
  otp: z.string().max(16).optional(),
  kind: z.enum(["cookie", "token"]).default("cookie").describe(
    "token: answer with a bearer token instead of a cookie",
  ),
});
export const Session = z.object({
  user: Me,
  expiresAt: UnixMs,
  token: z.string().optional(),
  siteName: z.string(),
  version: z.string(),
});
export type Session = z.infer<typeof Session>;

export const ChangePassword = z.object({
  currentPassword: z.string().min(1).max(1024),
  newPassword: NewPassword,
});

/** What a page must know before anything else. */
export const SetupState = z.object({
  required: z.boolean().describe("the first admin must still be made"),
  siteName: z.string(),
  version: z.string(),
  session: Session.optional().describe("the caller's, if signed in"),
});
export const Setup = z.object({
  token: z.string().min(1).max(128),
  username: Username,
  displayName: z.string().trim().max(80).default(""),
  password: NewPassword,
  siteName: Title.optional(),
});

export const Group = z.object({ id: Id, name: Title });
