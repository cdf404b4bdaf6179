import { version } from "../../lib/version.ts";
import type { App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { addressOf } from "../http/client.ts";
import type { Handlers } from "../http/endpoint.ts";
import { clearSessionCookie, setSessionCookie } from "../http/sessions.ts";
import { changePassword, signIn } from "./sign_in.ts";

export const sessionRoutes = (
  app: App,
): Handlers<"signIn" | "getSession" | "signOut" | "changePassword"> => ({
  signIn: async ({ body, c }) => {
    const session = await signIn(app, body, addressOf(c, app.config));
    return body.kind === "token" ? session : setSessionCookie(c, app, session);
  },
  getSession: ({ c }) => {
    const { user, expiresAt } = c.get("session")!;
    return Promise.resolve({ user, expiresAt, siteName: app.settings.current().siteName, version });
  },
  signOut: async ({ actor, c }) => {
    await app.sessions.end(c.get("session")!.key);
    clearSessionCookie(c, app);
    await audit(app, { actor, action: "session.sign-out" });
  },
  changePassword: ({ body, actor, c }) => changePassword(app, body, actor, c.get("session")!),
});
