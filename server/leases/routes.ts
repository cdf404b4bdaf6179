import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { answerVvFile } from "../http/vv_answer.ts";
import { getMachine } from "../machines/service.ts";
import { releaseKept } from "./lost.ts";
import {
  connectMyDesktop,
  endLease,
  endMyDesktop,
  getMyDesktop,
  listLeases,
  listMyDesktops,
  powerMyDesktop,
} from "./service.ts";

export const leaseRoutes = (app: App): Handlers<"listLeases" | "endLease" | "releaseMachine"> => ({
  listLeases: ({ query }) => listLeases(app, query),
  endLease: async ({ id, actor }) => void await endLease(app, id, actor),
  releaseMachine: async ({ id, actor }) => {
    await releaseKept(app, id, actor);
    return { machine: await getMachine(app, id) };
  },
});

type MyName =
  | "listMyDesktops"
  | "getDesktop"
  | "getMyDesktop"
  | "endMyDesktop"
  | "connectMyDesktop"
  | "heartbeat"
  | "powerMyDesktop";

export const myDesktopRoutes = (app: App): Handlers<MyName> => ({
  listMyDesktops: async ({ actor }) => ({ items: await listMyDesktops(app, actor) }),
  getDesktop: async ({ body, actor }) => ({ desktop: await app.leases.get(actor, body) }),
  getMyDesktop: async ({ id, actor }) => ({ desktop: await getMyDesktop(app, id, actor) }),
  endMyDesktop: async ({ id, actor }) => void await endMyDesktop(app, id, actor),
  connectMyDesktop: async ({ id, query, actor, c }) => {
    const connection = await connectMyDesktop(app, id, actor);
    return query.format === "vv" ? answerVvFile(app, c, connection) : connection;
  },
  heartbeat: async ({ id, actor }) => ({
    state: await app.leases.heartbeat(actor, id),
    intervalSeconds: app.settings.current().heartbeatSeconds,
  }),
  powerMyDesktop: async ({ id, body, actor }) => ({ desktop: await powerMyDesktop(app, id, body, actor) }),
});
