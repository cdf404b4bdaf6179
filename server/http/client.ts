import type { Context } from "hono";
import type { IncomingMessage } from "node:http";
import type { DashboardConfig } from "../config.ts";

/** The connection below a request; absent when the app is called without a listener. */
function incoming(c: Context): IncomingMessage | undefined {
  return (c.env as { incoming?: IncomingMessage } | undefined)?.incoming;
}

/** The address that a request comes from, by the reverse proxy's word only if the proxy is trusted. */
export function addressOf(c: Context, { trustProxy }: Pick<DashboardConfig, "trustProxy">): string | null {
  if (trustProxy) {
    // Each proxy appends what it saw: the last entry is the only one that the client could not invent.
    const forwarded = c.req.header("x-forwarded-for")?.split(",").at(-1)?.trim();
    if (forwarded) return forwarded;
  }
  return incoming(c)?.socket?.remoteAddress?.replace(/^::ffff:/, "") ?? null;
}

/** Whether the browser reaches us over TLS. */
export function isSecure(
  c: Context,
  config: Pick<DashboardConfig, "trustProxy" | "insecureHttp" | "publicUrl">,
): boolean {
  if (!config.insecureHttp) return true;
  if (config.publicUrl !== null) return config.publicUrl.startsWith("https:");
  return config.trustProxy && c.req.header("x-forwarded-proto") === "https";
}
