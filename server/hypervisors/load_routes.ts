import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { readLoad } from "./load_history.ts";

export const loadRoutes = (app: App): Handlers<"getHypervisorLoad"> => ({
  getHypervisorLoad: async ({ id, query }) => ({ points: await readLoad(app, id, query) }),
});
