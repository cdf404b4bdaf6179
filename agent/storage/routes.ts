import { Hono } from "hono";
import { z } from "zod";
import { BeginUpload, DataDiskCommand } from "../../contracts/agent.ts";
import { AbsolutePath } from "../../contracts/common.ts";
import { AppError, invalidInput } from "../../contracts/errors.ts";
import { DeleteFiles, FinishUpload } from "../../contracts/storage.ts";
import type { Host } from "../host.ts";
import { setDataDisk } from "../operations/data_disk.ts";
import { readBody, requireId } from "../requests.ts";
import type { Uploads } from "../uploads/uploads.ts";
import { deleteFiles } from "./delete_files.ts";
import { openFile } from "./read_file.ts";
import { reportStorage } from "./report.ts";

const Offset = z.coerce.number().int().nonnegative();

/** What the agent does with files: telling, deleting, sending, receiving. */
export function fileRoutes(host: Host, uploads: Uploads): Hono {
  return new Hono()
    .get("/storage", async (c) => c.json(await reportStorage(host)))
    .post("/files/delete", async (c) => {
      const { paths } = await readBody(c.req.raw, DeleteFiles);
      return c.json(await deleteFiles(host, paths));
    })
    .get("/files/content", async (c) => {
      const path = requirePath(c.req.query("path"));
      const from = readRange(c.req.header("range"));
      const { totalBytes, body } = await openFile(host, path, from ?? 0);
      const range = `bytes ${from ?? 0}-${Math.max(totalBytes - 1, from ?? 0)}/${totalBytes}`;
      return new Response(body, {
        status: from === null ? 200 : 206,
        headers: {
          "content-type": "application/octet-stream",
          "content-length": String(totalBytes - (from ?? 0)),
          ...(from !== null && { "content-range": range }),
        },
      });
    })
    .put("/domains/:id/data-disk", async (c) => {
      const { path } = await readBody(c.req.raw, DataDiskCommand);
      return c.json(await setDataDisk(host, requireId(c.req.param("id")), path));
    })
    .get("/uploads/:id", async (c) => c.json(await uploads.get(requireId(c.req.param("id")))))
    .post("/uploads/:id", async (c) => {
      const upload = await readBody(c.req.raw, BeginUpload);
      return c.json(await uploads.begin(requireId(c.req.param("id")), upload));
    })
    .put("/uploads/:id", async (c) => {
      const offset = Offset.safeParse(c.req.query("offset"));
      if (!offset.success) throw invalidInput("The upload's offset", offset.error);
      const body = c.req.raw.body ?? new ReadableStream({ start: (controller) => controller.close() });
      return c.json(await uploads.write(requireId(c.req.param("id")), offset.data, body));
    })
    .post("/uploads/:id/finish", async (c) => {
      const { sha256 } = await readBody(c.req.raw, FinishUpload);
      return c.json(await uploads.finish(requireId(c.req.param("id")), sha256));
    })
    .delete("/uploads/:id", async (c) => {
      await uploads.cancel(requireId(c.req.param("id")));
      return c.json({});
    });
}

function requirePath(text: string | undefined): string {
  const path = AbsolutePath.safeParse(text);
  if (path.success) return path.data;
  throw invalidInput("The path", path.error);
}

/** Only `bytes=N-` is asked for between dashboard and agent. */
function readRange(header: string | undefined): number | null {
  if (header === undefined) return null;
  const match = /^bytes=(\d{1,15})-$/.exec(header);
  if (match) return Number(match[1]);
  throw new AppError("invalid", "The agent knows ranges as 'bytes=N-' only.");
}
