/** Who is asking: the session cookie of a browser or the bearer token of a program, and whose page sent the request. */
import type { Context, MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { SignedIn } from "../users/sign_in.ts";
import { addressOf, isSecure } from "./client.ts";
import type { Env } from "./endpoint.ts";

/** `__Host-`: browsers accept it only over TLS, for the whole host, and never from a subdomain. */
const cookieName = (secure: boolean) => secure ? "__Host-kvm-vdi" : "kvm-vdi";

/** Sets `actor` and `session` for the rest of the request. */
export const identify = (app: App): MiddlewareHandler<Env> => async (c, next) => {
  const bearer = /^Bearer ([^\s]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (bearer === undefined) requireOwnPage(c, app);
  const token = bearer ??
    (c.req.header("cookie") ? getCookie(c, cookieName(isSecure(c, app.config))) : undefined);
  const session = token === undefined ? null : await app.sessions.find(token);
  c.set("session", session);
  c.set("sessionToken", session ? token! : null);
  c.set(
    "actor",
    session && {
      id: session.user.id,
      username: session.user.username,
      role: session.user.role,
      address: addressOf(c, app.config),
    },
  );
  await next();
};

const readOnly = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Refuses what another site's page sends in the user's name. Browsers tell with Sec-Fetch-Site, older ones with Origin;
 * who sends neither is no browser and has no cookies to abuse. The cookie is SameSite=Strict besides.
 */
function requireOwnPage(c: Context<Env>, app: App): void {
  const site = c.req.header("sec-fetch-site");
  const origin = c.req.header("origin");
  const fromElsewhere = site === undefined
    ? origin !== undefined && !isOwnOrigin(origin, c.req.header("host"), app.config.publicUrl)
    : site !== "same-origin" && site !== "none";
  if (!fromElsewhere) return;
  const isNavigation = readOnly.has(c.req.method) && c.req.header("sec-fetch-mode") === "navigate";
  if (isNavigation) return;
  throw new AppError(
    "forbidden",
    "This request came from a page of another site, so it was not carried out.",
  );
}

function isOwnOrigin(origin: string, host: string | undefined, publicUrl: string | null): boolean {
  return origin === publicUrl || (URL.canParse(origin) && new URL(origin).host === host);
}

/** Puts the new token into the cookie; only programs that ask for a token see it in the answer. */
export function setSessionCookie(c: Context<Env>, app: App, { token, ...session }: SignedIn) {
  const secure = isSecure(c, app.config);
  setCookie(c, cookieName(secure), token, {
    path: "/",
    httpOnly: true,
    secure,
    sameSite: "Strict",
    expires: new Date(session.expiresAt),
  });
  return session;
}

export function clearSessionCookie(c: Context<Env>, app: App): void {
  const secure = isSecure(c, app.config);
  deleteCookie(c, cookieName(secure), { path: "/", secure, httpOnly: true, sameSite: "Strict" });
}
