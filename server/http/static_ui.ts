import { createHash } from "node:crypto";
import type { Handler } from "hono";
import { type Asset, readAsset } from "../../lib/assets.ts";
import type { Env } from "./endpoint.ts";

const etags = new WeakMap<Asset, string>();

/** Serves the files of the web UI; every other path is a page, which is index.html. */
export const serveUi: Handler<Env> = async (c, next) => {
  const name = c.req.path.slice(1);
  const isFile = /\.[a-z0-9]+$/i.test(name);
  const asset = await readAsset(isFile ? name : "index.html");
  if (!asset) return await next();
  const etag = etagOf(asset);
  const headers: Record<string, string> = {
    "Content-Type": asset.contentType,
    "Cache-Control": asset.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    "ETag": etag,
    "Vary": "Accept-Encoding",
  };
  if (c.req.header("if-none-match")?.split(/,\s*/).includes(etag)) return c.body(null, 304, headers);
  const gzip = asset.gzipBytes !== undefined && /\bgzip\b/.test(c.req.header("accept-encoding") ?? "");
  if (gzip) headers["Content-Encoding"] = "gzip";
  const bytes = gzip ? asset.gzipBytes! : asset.bytes;
  return c.body(bytes as Uint8Array<ArrayBuffer>, 200, headers);
};

/** The same for both encodings: it names the content, and proxies keep them apart by Vary. */
function etagOf(asset: Asset): string {
  let etag = etags.get(asset);
  if (etag === undefined) {
    etag = `W/"${createHash("sha256").update(asset.bytes).digest("base64url").slice(0, 22)}"`;
    etags.set(asset, etag);
  }
  return etag;
}
