import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { listAudit } from "./store.ts";

export const auditRoutes = (app: App): Handlers<"listAudit"> => ({
  listAudit: ({ query }) => listAudit(app.db, query),
});
