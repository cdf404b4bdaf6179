import { type Context, Hono } from "hono";
import { Id } from "../../contracts/common.ts";
import { plainPaths } from "../../contracts/api.ts";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { type Env, type Handlers, requireAccess } from "../http/endpoint.ts";
import { answerVvFile } from "../http/vv_answer.ts";
import { copyDiskFromSource } from "../images/copy_disk.ts";
import { populate } from "../images/populate.ts";
import { bulkMachines } from "./bulk.ts";
import { kickViewers, openConsole } from "./console.ts";
import { copyMachine } from "./copy.ts";
import { createMachines } from "./create.ts";
import { deleteMachine } from "./delete.ts";
import { planDeletion } from "./deletion_plan.ts";
import { flattenMachine } from "./flatten.ts";
import { moveMachine } from "./move.ts";
import { powerMachine } from "./power.ts";
import { resizeDisk } from "./resize.ts";
import { Screenshots } from "./screenshot.ts";
import { getMachine, getMachineDisks, getMachineXml, listMachines, updateMachine } from "./service.ts";

type Names =
  | "listMachines"
  | "createMachines"
  | "bulkMachines"
  | "getMachine"
  | "updateMachine"
  | "deleteMachine"
  | "planDeletion"
  | "moveMachine"
  | "copyMachine"
  | "flattenMachine"
  | "resizeDisk"
  | "powerMachine"
  | "copyDisk"
  | "populate"
  | "openConsole"
  | "kickViewers"
  | "getMachineDisks";

export const machineRoutes = (app: App): Handlers<Names> => ({
  listMachines: ({ query }) => listMachines(app, query),
  createMachines: ({ body, actor }) => createMachines(app, body, actor),
  bulkMachines: async ({ body, actor }) => ({ job: await bulkMachines(app, body, actor) }),
  getMachine: async ({ id }) => ({ machine: await getMachine(app, id) }),
  updateMachine: async ({ id, body, actor }) => ({ machine: await updateMachine(app, id, body, actor) }),
  deleteMachine: async ({ id, query, actor }) => {
    const { keepDisks, cascade } = query;
    const how = { keepDisks: keepDisks === "true", cascade: cascade === "true" };
    return { job: await deleteMachine(app, id, how, actor) };
  },
  planDeletion: async ({ id }) => ({ plan: await planDeletion(app, id) }),
  moveMachine: async ({ id, body, actor }) => ({
    job: await moveMachine(app, id, body.hypervisorId, actor),
  }),
  copyMachine: ({ id, body, actor }) => copyMachine(app, id, body, actor),
  flattenMachine: async ({ id, actor }) => ({ job: await flattenMachine(app, id, actor) }),
  resizeDisk: async ({ id, body, actor }) => ({ job: await resizeDisk(app, id, body.bytes, actor) }),
  powerMachine: async ({ id, body, actor }) => {
    await powerMachine(app, id, body, actor);
    return { machine: await getMachine(app, id) };
  },
  copyDisk: async ({ id, body, actor }) => ({ job: await copyDiskFromSource(app, id, body ?? {}, actor) }),
  populate: async ({ id, body, actor }) => ({ job: await populate(app, id, body?.machineIds, actor) }),
  openConsole: async ({ id, query, actor, c }) => {
    const connection = await openConsole(app, id, actor);
    return query.format === "vv" ? answerVvFile(app, c, connection) : connection;
  },
  kickViewers: async ({ id, actor }) => await kickViewers(app, id, actor),
  getMachineDisks: async ({ id }) => ({ items: await getMachineDisks(app, id) }),
});

/** What is not JSON: a machine's screen and its XML, for operators. */
export function machinePlainRoutes(app: App): Hono<Env> {
  const screenshots = new Screenshots(app);
  return new Hono<Env>()
    .get(plainPaths.screenshot(":id"), async (c) => {
      const png = await screenshots.of(requireId(c, "Look at a machine's screen"));
      return c.body(png, 200, { "Content-Type": "image/png", "Cache-Control": "private, max-age=2" });
    })
    .get(plainPaths.xml(":id"), async (c) => {
      const xml = await getMachineXml(app, requireId(c, "Read a machine's XML"));
      return c.body(xml, 200, { "Content-Type": "text/xml; charset=utf-8" });
    });
}

function requireId(c: Context<Env>, summary: string): string {
  requireAccess({ access: "operator", summary }, c.get("actor"));
  const id = Id.safeParse(c.req.param("id"));
  if (!id.success) throw new AppError("not_found", `There is nothing at ${c.req.path}.`);
  return id.data;
}
