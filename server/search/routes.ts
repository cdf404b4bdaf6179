import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { search } from "./service.ts";

export const searchRoutes = (app: App): Handlers<"search"> => ({
  search: async ({ query }) => ({ items: await search(app, query.q) }),
});
