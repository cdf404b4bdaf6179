import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { updateSettings } from "./service.ts";

export const settingsRoutes = (app: App): Handlers<"getSettings" | "updateSettings"> => ({
  getSettings: () => Promise.resolve({ settings: app.settings.current() }),
  updateSettings: async ({ body, actor }) => ({ settings: await updateSettings(app, body, actor) }),
});
