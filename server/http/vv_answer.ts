import type { Context } from "hono";
import type { Connection } from "../../contracts/desktop.ts";
import type { App } from "../app.ts";
import { toVvFile } from "../gateway/vv_file.ts";
import { isSecure } from "./client.ts";
import type { Env } from "./endpoint.ts";

/** Answers with a connection as a file that browsers hand to remote-viewer. */
export function answerVvFile(app: Pick<App, "config">, c: Context<Env>, connection: Connection): Response {
  const { publicUrl } = app.config;
  const scheme = isSecure(c, app.config) ? "https" : "http";
  const origin = publicUrl ?? `${scheme}://${c.req.header("host") ?? "localhost"}`;
  const name = connection.title.replace(/[^A-Za-z0-9._-]+/g, "-") || "desktop";
  return c.body(toVvFile(connection, origin), 200, {
    "Content-Type": "application/x-virt-viewer",
    "Content-Disposition": `attachment; filename="${name}.vv"`,
    "Cache-Control": "no-store",
  });
}
