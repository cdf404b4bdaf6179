import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { readOverview } from "./service.ts";

export const overviewRoutes = (app: App): Handlers<"getOverview"> => ({
  getOverview: async () => ({ overview: await readOverview(app) }),
});
