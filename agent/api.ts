import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { AgentJobRequest, EditCommand, PowerCommand, TicketCommand } from "../contracts/agent.ts";
import { AppError, errorInfoOf, httpStatusOf } from "../contracts/errors.ts";
import { AgentSettings } from "../contracts/hypervisor.ts";
import type { Agent } from "./agent.ts";
import { disksOf, listImageFiles } from "./images/chain.ts";
import { imageRoutes } from "./images/routes.ts";
import { editMachine } from "./operations/edit_machine.ts";
import { takeScreenshot } from "./operations/screenshot.ts";
import { readBody as read, requireId } from "./requests.ts";
import { serveOnSocket } from "./socket.ts";
import { fileRoutes } from "./storage/routes.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const heartbeatMs = 5_000;
const drainMs = 5_000;

/** Serves the agent API (contracts/agent.ts) on a unix socket until disposed; open requests may end first. */
export async function serveApi(agent: Agent, socketPath: string): Promise<AsyncDisposable> {
  const app = makeApi(agent);
  const server = await serveOnSocket(socketPath, (request) => app.fetch(request));
  const heartbeat = setInterval(() => agent.hub.heartbeat(heartbeatMs - 100), heartbeatMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      agent.hub.close();
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([server.shutdown(), new Promise((resolve) => timer = setTimeout(resolve, drainMs))]);
      clearTimeout(timer);
    },
  };
}

function makeApi(agent: Agent): Hono {
  const { host } = agent;
  const app = new Hono();
  const known = (id: string) => {
    if (!host.domains.get(requireId(id))) {
      throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
    }
    return id;
  };
  app.get("/hello", (c) => c.json(agent.hello));
  app.get("/events", () =>
    new Response(agent.hub.open(() => agent.snapshot()).body, {
      headers: { "content-type": "application/x-ndjson" },
    }));
  app.get("/domains/:id/xml", async (c) => {
    const xml = await host.virsh.dumpXml(known(c.req.param("id")), { signal: c.req.raw.signal });
    return c.body(xml, 200, { "content-type": "text/xml; charset=utf-8" });
  });
  app.get("/domains/:id/disks", async (c) => c.json(await disksOf(host, known(c.req.param("id")))));
  app.get("/domains/:id/screenshot", async (c) => {
    const picture = await takeScreenshot(host, known(c.req.param("id")), c.req.raw.signal);
    return c.body(picture, 200, { "content-type": "image/png" });
  });
  app.post("/domains/:id/power", async (c) => {
    const command = await read(c.req.raw, PowerCommand);
    return c.json(await agent.power.run(requireId(c.req.param("id")), command));
  });
  app.patch("/domains/:id", async (c) => {
    const edit = await read(c.req.raw, EditCommand);
    return c.json(await editMachine(host, requireId(c.req.param("id")), edit));
  });
  app.post("/domains/:id/ticket", async (c) => {
    const { ttlSeconds } = await read(c.req.raw, TicketCommand);
    return c.json(await agent.tickets.issue(requireId(c.req.param("id")), ttlSeconds));
  });
  app.post("/domains/:id/kick", async (c) => {
    await agent.tickets.kick(requireId(c.req.param("id")));
    return c.json({});
  });
  app.get("/image-files", async (c) => c.json(await listImageFiles(host)));
  app.patch("/settings", async (c) => {
    return c.json(await agent.changeSettings(await read(c.req.raw, AgentSettings.partial())));
  });
  app.route("/", fileRoutes(host, agent.uploads));
  app.route("/", imageRoutes(host));
  app.put("/executable", async (c) => {
    const sha256 = Sha256.safeParse(c.req.query("sha256"));
    if (!sha256.success) throw new AppError("invalid", "sha256: must be 64 lower-case hex digits.");
    const length = c.req.header("content-length");
    const { body } = c.req.raw;
    if (!body) throw new AppError("invalid", "Update the agent: the request has no body.");
    await agent.executable.replace(body, sha256.data, length === undefined ? null : Number(length));
    return c.json({});
  });
  app.post("/jobs", async (c) => c.json(await agent.jobs.start(await read(c.req.raw, AgentJobRequest)), 202));
  app.get("/jobs", (c) => c.json(agent.jobs.list()));
  app.get("/jobs/:id", (c) => c.json(agent.jobs.get(requireId(c.req.param("id")))));
  app.delete("/jobs/:id", async (c) => {
    await agent.jobs.cancel(requireId(c.req.param("id")));
    return c.json(agent.jobs.get(c.req.param("id")));
  });
  app.notFound((c) =>
    c.json({ error: { code: "not_found", message: `The agent has no ${c.req.path}.` } }, 404)
  );
  app.onError((error, c) => {
    const requestId = crypto.randomUUID();
    const info = errorInfoOf(error);
    const level = info.code === "internal" || info.code === "hypervisor_failed" ? "error" : "info";
    host.log[level]({ err: error, requestId, method: c.req.method, path: c.req.path }, "request failed");
    return c.json({ error: { ...info, requestId } }, httpStatusOf[info.code] as ContentfulStatusCode);
  });
  return app;
}
