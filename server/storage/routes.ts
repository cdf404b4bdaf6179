import { Hono } from "hono";
import { AbsolutePath, Id } from "../../contracts/common.ts";
import { AppError, invalidInput } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { type Env, type Handlers, requireAccess } from "../http/endpoint.ts";
import { auditDownload, deleteFiles, getStorage, openDownload } from "./service.ts";

export const storageRoutes = (app: App): Handlers<"getStorage" | "deleteFiles"> => ({
  getStorage: ({ id }) => getStorage(app, id),
  deleteFiles: ({ id, body, actor }) => deleteFiles(app, id, body.paths, actor),
});

/** Downloads, for admins. */
export const storagePlainRoutes = (app: App): Hono<Env> =>
  new Hono<Env>().get("/api/hypervisors/:id/files", async (c) => {
    const actor = c.get("actor");
    requireAccess({ access: "admin", summary: "Download a file" }, actor);
    const id = Id.safeParse(c.req.param("id"));
    if (!id.success) throw new AppError("not_found", `There is nothing at ${c.req.path}.`);
    const path = AbsolutePath.safeParse(c.req.query("path"));
    if (!path.success) throw invalidInput("Download a file: path", path.error);
    const range = readRange(c.req.header("range"));
    const given = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, app.signal, given.signal]);
    const from = range?.from ?? 0;
    const { totalBytes, bytes } = await openDownload(app, id.data, path.data, from, signal);
    if (from === 0) await auditDownload(app, id.data, path.data, actor!);
    const end = Math.min(range?.to ?? Infinity, totalBytes - 1);
    const length = Math.max(end - from + 1, 0);
    return new Response(streamOf(bytes, length, () => given.abort()), {
      status: range ? 206 : 200,
      headers: {
        "Content-Type": "application/octet-stream",
        "Content-Length": String(length),
        "Content-Disposition": dispositionOf(path.data.split("/").at(-1)!),
        "Accept-Ranges": "bytes",
        ...(range && { "Content-Range": `bytes ${from}-${end}/${totalBytes}` }),
      },
    });
  });

/** `bytes=N-` or `bytes=N-M`; anything else is answered with the whole file, as RFC 9110 allows. */
function readRange(header: string | undefined): { from: number; to: number | null } | null {
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(header ?? "");
  if (!match) return null;
  const [from, to] = [Number(match[1]), match[2] === undefined ? null : Number(match[2])];
  return to !== null && to < from ? null : { from, to };
}

/** RFC 6266: a plain name for old programs, the exact one for the others. */
const dispositionOf = (name: string) =>
  `attachment; filename="${name.replace(/[^\w.+ ()-]/g, "_")}"; filename*=UTF-8''${encodeURIComponent(name)}`;

/** Hands on what is taken, no more than `length` bytes; whoever goes away ends the reading. */
function streamOf(
  bytes: AsyncIterable<Uint8Array>,
  length: number,
  stop: () => void,
): ReadableStream<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  let left = length;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = left > 0 ? await iterator.next() : { value: undefined, done: true };
      if (done || value === undefined) {
        stop();
        return left > 0 ? controller.error(new Error("the file ended early")) : controller.close();
      }
      const piece = value.length > left ? value.subarray(0, left) : value;
      left -= piece.length;
      controller.enqueue(piece);
    },
    async cancel() {
      stop();
      await iterator.return?.().catch(() => undefined);
    },
  }, { highWaterMark: 0 });
}
