import { Hono } from "hono";
import { z } from "zod";
import { plainPaths } from "../../contracts/api.ts";
import { Id } from "../../contracts/common.ts";
import { AppError, invalidInput } from "../../contracts/errors.ts";
import { uploadPieceBytes } from "../../contracts/storage.ts";
import type { App } from "../app.ts";
import { type Env, type Handlers, requireAccess } from "../http/endpoint.ts";
import { cancelUpload, createUpload, finishUpload, getUpload, listUploads, writePiece } from "./service.ts";

type Names = "listUploads" | "createUpload" | "getUpload" | "finishUpload" | "cancelUpload";

export const uploadRoutes = (app: App): Handlers<Names> => ({
  listUploads: async () => ({ items: await listUploads(app) }),
  createUpload: async ({ body, actor }) => ({ upload: await createUpload(app, body, actor) }),
  getUpload: async ({ id }) => ({ upload: await getUpload(app, id) }),
  finishUpload: async ({ id, body, actor }) => ({ upload: await finishUpload(app, id, body.sha256, actor) }),
  cancelUpload: ({ id, actor }) => cancelUpload(app, id, actor),
});

const Offset = z.string().regex(/^\d{1,15}$/, "must be a number of bytes").transform(Number);

/** Pieces of uploads, for admins. */
export const uploadPlainRoutes = (app: App): Hono<Env> =>
  new Hono<Env>().patch(plainPaths.uploadPiece(":id"), async (c) => {
    requireAccess({ access: "admin", summary: "Upload a file" }, c.get("actor"));
    const id = Id.safeParse(c.req.param("id"));
    if (!id.success) throw new AppError("not_found", `There is nothing at ${c.req.path}.`);
    const offset = Offset.safeParse(c.req.header("upload-offset"));
    if (!offset.success) throw invalidInput("Upload a piece: the header Upload-Offset", offset.error);
    const { raw } = c.req;
    const piece = await readPiece(raw);
    const signal = AbortSignal.any([raw.signal, app.signal]);
    return c.json({ upload: await writePiece(app, id.data, offset.data, piece, signal) });
  });

/** One piece is held in memory: it goes on to the agent as a whole or not at all. */
async function readPiece(request: Request): Promise<Uint8Array> {
  const tooLong = () => new AppError("invalid", `A piece has at most ${uploadPieceBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > uploadPieceBytes) throw tooLong();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > uploadPieceBytes) throw tooLong();
    chunks.push(chunk);
  }
  const piece = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    piece.set(chunk, at);
    at += chunk.length;
  }
  return piece;
}
