import { version } from "../../lib/version.ts";
import type { App } from "../app.ts";
import { addressOf } from "../http/client.ts";
import type { Handlers } from "../http/endpoint.ts";
import { setSessionCookie } from "../http/sessions.ts";
import { isSetupRequired, setUp } from "./service.ts";

export const setupRoutes = (app: App): Handlers<"getSetup" | "setup"> => ({
  getSetup: async ({ c }) => {
    const session = c.get("session");
    const { siteName } = app.settings.current();
    return {
      required: session === null && await isSetupRequired(app),
      siteName,
      version,
      ...(session && { session: { user: session.user, expiresAt: session.expiresAt, siteName, version } }),
    };
  },
  setup: async ({ body, c }) => setSessionCookie(c, app, await setUp(app, body, addressOf(c, app.config))),
});
