import { Hono } from "hono";
import { z } from "zod";
import { DiskCommand } from "../../contracts/agent.ts";
import { AbsolutePath } from "../../contracts/common.ts";
import { AppError, invalidInput } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import { unseal } from "../operations/seal.ts";
import { holdSource } from "../operations/send_image.ts";
import { setMachineDisk } from "../operations/set_disk.ts";
import { readBody, requireId } from "../requests.ts";
import { sendFrames } from "./frames.ts";
import { identifyFile } from "./identity.ts";

const PathQuery = z.object({ path: AbsolutePath });
const FromQuery = z.object({ from: z.coerce.number().int().nonnegative().default(0) });

/** Versions of images: switching to one, sealing, and bringing one to another host by the dashboard's relay. */
export function imageRoutes(host: Host): Hono {
  return new Hono()
    .put("/domains/:id/disk", async (c) => {
      const command = await readBody(c.req.raw, DiskCommand);
      return c.json(await setMachineDisk(host, requireId(c.req.param("id")), command));
    })
    .post("/files/unseal", async (c) => {
      await unseal(host, (await readBody(c.req.raw, PathQuery)).path);
      return c.json({});
    })
    .get("/file-identity", async (c) => c.json(await identifyFile(readQuery(c.req.query(), PathQuery).path)))
    .get("/image-stream", async (c) => {
      const { path, from } = readQuery(c.req.query(), PathQuery.extend(FromQuery.shape));
      const source = await holdSource(host, path, c.req.raw.signal);
      const headers = { "content-type": "application/octet-stream" };
      return new Response(streamUntilEnd(sendFrames({ path, from }), source), { headers });
    })
    .get("/transfers/:id", (c) => c.json(host.receivers.get(requireId(c.req.param("id"))).state()))
    .put("/transfers/:id", async (c) => {
      const { from } = readQuery(c.req.query(), FromQuery);
      const receiver = host.receivers.get(requireId(c.req.param("id")));
      if (!c.req.raw.body) throw new AppError("invalid", "Receive the image: the request has no body.");
      await receiver.take(from, c.req.raw.body);
      return c.json({});
    });
}

function readQuery<S extends z.ZodType>(query: Record<string, string>, schema: S): z.output<S> {
  const parsed = schema.safeParse(query);
  if (!parsed.success) throw invalidInput("The request is not valid", parsed.error);
  return parsed.data;
}

/** Disposes of `held` once the stream has ended, failed, or nobody reads it any more. */
function streamUntilEnd(bytes: AsyncGenerator<Uint8Array>, held: Disposable): ReadableStream<Uint8Array> {
  const end = async () => {
    held[Symbol.dispose]();
    await bytes.return(undefined);
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await bytes.next();
        if (!done) return controller.enqueue(value);
        await end();
        controller.close();
      } catch (error) {
        await end();
        controller.error(error);
      }
    },
    cancel: end,
  }, { highWaterMark: 1 });
}
