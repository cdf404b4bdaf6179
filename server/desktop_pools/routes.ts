import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import {
  createDesktopPool,
  deleteDesktopPool,
  getDesktopPool,
  listDesktopPools,
  listMyDesktopPools,
  setEntitlements,
  setPoolMachines,
  updateDesktopPool,
} from "./service.ts";

type Name =
  | "listDesktopPools"
  | "createDesktopPool"
  | "getDesktopPool"
  | "updateDesktopPool"
  | "deleteDesktopPool"
  | "putPoolMachines"
  | "putEntitlements"
  | "explainAllocation"
  | "listMyDesktopPools";

export const desktopPoolRoutes = (app: App): Handlers<Name> => ({
  listDesktopPools: ({ query }) => listDesktopPools(app, query),
  createDesktopPool: async ({ body, actor }) => ({ desktopPool: await createDesktopPool(app, body, actor) }),
  getDesktopPool: async ({ id }) => ({ desktopPool: await getDesktopPool(app, id) }),
  updateDesktopPool: async ({ id, body, actor }) => ({
    desktopPool: await updateDesktopPool(app, id, body, actor),
  }),
  deleteDesktopPool: async ({ id, actor }) => void await deleteDesktopPool(app, id, actor),
  putPoolMachines: async ({ id, body, actor }) => ({
    desktopPool: await setPoolMachines(app, id, body.machineIds, actor),
  }),
  putEntitlements: async ({ id, body, actor }) => ({
    desktopPool: await setEntitlements(app, id, body, actor),
  }),
  explainAllocation: async ({ id, query }) => {
    const choice = await app.broker.explain(id, query.userId);
    const machineId = choice.kind === "own"
      ? choice.machineId
      : choice.kind === "free"
      ? choice.machine.machineId
      : null;
    return { machineId, explanation: choice.explanation, reasons: choice.reasons };
  },
  listMyDesktopPools: async ({ actor }) => ({ items: await listMyDesktopPools(app, actor.id) }),
});
