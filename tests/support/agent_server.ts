/** Serves a (fake) agent on a unix socket, as contracts/agent.ts says. */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Agent } from "../../contracts/agent.ts";
import { errorInfoOf, httpStatusOf } from "../../contracts/errors.ts";

export async function serveAgent(agent: Agent, socketPath: string): Promise<AsyncDisposable> {
  const app = makeApi(agent);
  const listening = Promise.withResolvers<void>();
  const server = Deno.serve({ path: socketPath, onListen: () => listening.resolve() }, app.fetch);
  await listening.promise;
  await Deno.chmod(socketPath, 0o666);
  return { [Symbol.asyncDispose]: () => server.shutdown() };
}

function makeApi(agent: Agent): Hono {
  const app = new Hono();
  const signalOf = (request: Request) => request.signal;
  app.onError((error, c) => {
    const info = errorInfoOf(error);
    return c.json({ error: info }, httpStatusOf[info.code] as ContentfulStatusCode);
  });
  app.get("/hello", async (c) => c.json(await agent.hello()));
  app.get("/events", (c) => {
    const lines = agent.events(signalOf(c.req.raw));
    const encoder = new TextEncoder();
    const text = async function* () {
      for await (const event of lines) yield encoder.encode(`${JSON.stringify(event)}\n`);
    };
    return new Response(ReadableStream.from(text()), { headers: { "content-type": "application/x-ndjson" } });
  });
  app.get("/domains/:id/disks", async (c) => c.json(await agent.disks(c.req.param("id"))));
  app.get("/domains/:id/xml", async (c) => c.text(await agent.xml(c.req.param("id"))));
  app.get("/domains/:id/screenshot", async (c) => c.body(await agent.screenshot(c.req.param("id"))));
  app.post(
    "/domains/:id/power",
    async (c) => c.json(await agent.power(c.req.param("id"), await c.req.json())),
  );
  app.patch("/domains/:id", async (c) => c.json(await agent.edit(c.req.param("id"), await c.req.json())));
  app.post(
    "/domains/:id/ticket",
    async (c) => c.json(await agent.ticket(c.req.param("id"), await c.req.json())),
  );
  app.post("/domains/:id/kick", async (c) => {
    await agent.kick(c.req.param("id"));
    return c.json({});
  });
  app.get("/image-files", async (c) => c.json(await agent.imageFiles()));
  app.get("/jobs", async (c) => c.json(await agent.jobs()));
  app.post("/jobs", async (c) => c.json(await agent.startJob(await c.req.json()), 202));
  app.delete("/jobs/:id", async (c) => {
    await agent.cancelJob(c.req.param("id"));
    return c.json({}, 202);
  });
  return app;
}
