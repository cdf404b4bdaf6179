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
  addFiles(app, agent);
  addUploads(app, agent);
  app.get("/image-files", async (c) => c.json(await agent.imageFiles()));
  app.get("/jobs", async (c) => c.json(await agent.jobs()));
  app.post("/jobs", async (c) => c.json(await agent.startJob(await c.req.json()), 202));
  app.delete("/jobs/:id", async (c) => {
    await agent.cancelJob(c.req.param("id"));
    return c.json({}, 202);
  });
  app.patch("/settings", async (c) => c.json(await agent.changeSettings(await c.req.json())));
  app.put("/executable", async (c) => {
    const sha256 = c.req.query("sha256")!;
    const length = Number(c.req.header("content-length"));
    await agent.updateExecutable({ sha256, bytes: c.req.raw.body!, length });
    return c.json({});
  });
  return app;
}

function addFiles(app: Hono, agent: Agent): void {
  app.put(
    "/domains/:id/disk",
    async (c) => c.json(await agent.setDisk(c.req.param("id"), await c.req.json())),
  );
  app.put(
    "/domains/:id/data-disk",
    async (c) => c.json(await agent.setDataDisk(c.req.param("id"), await c.req.json())),
  );
  app.get("/storage", async (c) => c.json(await agent.storage()));
  app.get("/file-identity", async (c) => c.json(await agent.fileIdentity(c.req.query("path")!)));
  app.post("/files/delete", async (c) => c.json(await agent.deleteFiles((await c.req.json()).paths)));
  app.post("/files/unseal", async (c) => {
    await agent.unseal((await c.req.json()).path);
    return c.json({});
  });
  app.get("/files/content", async (c) => {
    const from = Number(/^bytes=(\d+)-$/.exec(c.req.header("range") ?? "")?.[1] ?? 0);
    const { totalBytes, bytes } = await agent.readFile(c.req.query("path")!, from, c.req.raw.signal);
    return new Response(ReadableStream.from(bytes), {
      status: from > 0 ? 206 : 200,
      headers: {
        "content-length": String(totalBytes - from),
        ...(from > 0 && { "content-range": `bytes ${from}-${totalBytes - 1}/${totalBytes}` }),
      },
    });
  });
  app.get("/image-stream", async (c) => {
    const from = Number(c.req.query("from"));
    return new Response(
      ReadableStream.from(await agent.imageStream(c.req.query("path")!, from, c.req.raw.signal)),
    );
  });
  app.get("/transfers/:id", async (c) => c.json(await agent.receiving(c.req.param("id"))));
  app.put("/transfers/:id", async (c) => {
    const from = Number(c.req.query("from"));
    await agent.sendStream(c.req.param("id"), from, c.req.raw.body!, c.req.raw.signal);
    return c.json({});
  });
}

function addUploads(app: Hono, agent: Agent): void {
  app.post(
    "/uploads/:id",
    async (c) => c.json(await agent.beginUpload(c.req.param("id"), await c.req.json())),
  );
  app.get("/uploads/:id", async (c) => c.json(await agent.upload(c.req.param("id"))));
  app.put("/uploads/:id", async (c) => {
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    return c.json(await agent.writeUpload(c.req.param("id"), Number(c.req.query("offset")), bytes));
  });
  app.post(
    "/uploads/:id/finish",
    async (c) => c.json(await agent.finishUpload(c.req.param("id"), (await c.req.json()).sha256)),
  );
  app.delete("/uploads/:id", async (c) => {
    await agent.cancelUpload(c.req.param("id"));
    return c.json({});
  });
}
