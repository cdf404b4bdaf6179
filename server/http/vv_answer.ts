import type { Context } from "hono";
import type { Connection } from "../../contracts/desktop.ts";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { toVvFile } from "../gateway/vv_file.ts";
import type { Env } from "./endpoint.ts";

/**
 * Answers with a connection as a file that browsers hand to remote-viewer.
 * @throws {AppError} `unavailable` when native viewers are not let in (`--no-viewer-proxy`)
 */
export function answerVvFile(
  app: Pick<App, "config" | "viewerPort">,
  c: Context<Env>,
  connection: Connection,
): Response {
  if (app.viewerPort === null) {
    throw new AppError(
      "unavailable",
      "Native viewers are switched off here. Open the desktop in the browser.",
    );
  }
  const origin = app.config.publicUrl ?? `https://${c.req.header("host") ?? "localhost"}`;
  const name = connection.title.replace(/[^A-Za-z0-9._-]+/g, "-") || "desktop";
  return c.body(toVvFile(connection, `${new URL(origin).hostname}:${app.viewerPort}`), 200, {
    "Content-Type": "application/x-virt-viewer",
    "Content-Disposition": `attachment; filename="${name}.vv"`,
    "Cache-Control": "no-store",
  });
}
