import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import {
  createHypervisor,
  deleteHypervisor,
  getHypervisor,
  listHypervisors,
  listImageFiles,
  listImportableDomains,
  updateHypervisor,
} from "./service.ts";

type Names =
  | "listHypervisors"
  | "createHypervisor"
  | "getHypervisor"
  | "updateHypervisor"
  | "deleteHypervisor"
  | "listImageFiles"
  | "listImportableDomains";

export const hypervisorRoutes = (app: App): Handlers<Names> => ({
  listHypervisors: ({ query }) => listHypervisors(app, query),
  createHypervisor: async ({ body, actor }) => ({ hypervisor: await createHypervisor(app, body, actor) }),
  getHypervisor: async ({ id }) => ({ hypervisor: await getHypervisor(app, id) }),
  updateHypervisor: async ({ id, body, actor }) => ({
    hypervisor: await updateHypervisor(app, id, body, actor),
  }),
  deleteHypervisor: async ({ id, actor }) => await deleteHypervisor(app, id, actor),
  listImageFiles: async ({ id }) => ({ items: await listImageFiles(app, id) }),
  listImportableDomains: async ({ id }) => ({ items: await listImportableDomains(app, id) }),
});
