import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { startAgentUpdate } from "./agent_update.ts";
import { createHypervisor, readHostKey } from "./create.ts";
import { startEnrolment } from "./enrol.ts";
import { keyRoutes } from "./key_routes.ts";
import {
  deleteHypervisor,
  getHypervisor,
  listHypervisors,
  listImageFiles,
  listImportableDomains,
} from "./service.ts";
import { updateHypervisor } from "./update.ts";

type Names =
  | "listHypervisors"
  | "createHypervisor"
  | "readHostKey"
  | "listOwnKeys"
  | "createOwnKey"
  | "enrolHypervisor"
  | "updateAgents"
  | "getHypervisor"
  | "updateHypervisor"
  | "deleteHypervisor"
  | "listImageFiles"
  | "listImportableDomains";

export const hypervisorRoutes = (app: App): Handlers<Names> => ({
  listHypervisors: ({ query }) => listHypervisors(app, query),
  createHypervisor: ({ body, actor }) => createHypervisor(app, body, actor),
  readHostKey: async ({ body }) => ({ hostKey: await readHostKey(app, body) }),
  ...keyRoutes(app),
  enrolHypervisor: async ({ id, body, actor }) => ({ job: await startEnrolment(app, id, body, actor) }),
  updateAgents: async ({ body, actor }) => ({ job: await startAgentUpdate(app, body?.hypervisorIds, actor) }),
  getHypervisor: async ({ id }) => ({ hypervisor: await getHypervisor(app, id) }),
  updateHypervisor: async ({ id, body, actor }) => ({
    hypervisor: await updateHypervisor(app, id, body, actor),
  }),
  deleteHypervisor: async ({ id, actor }) => await deleteHypervisor(app, id, actor),
  listImageFiles: async ({ id }) => ({ items: await listImageFiles(app, id) }),
  listImportableDomains: async ({ id }) => ({ items: await listImportableDomains(app, id) }),
});
