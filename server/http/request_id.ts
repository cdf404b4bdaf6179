import { randomBytes } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { Env } from "./endpoint.ts";

const proxyId = /^[A-Za-z0-9._-]{8,64}$/;

/** Names every request, in its answer and in the log. A trusted proxy may have named it already. */
export function requestId(trustProxy: boolean): MiddlewareHandler<Env> {
  const start = randomBytes(5).toString("hex");
  let count = 0;
  return async (c, next) => {
    const given = trustProxy ? c.req.header("x-request-id") : undefined;
    const id = given !== undefined && proxyId.test(given) ? given : `${start}-${(++count).toString(36)}`;
    c.set("requestId", id);
    await next();
    c.header("X-Request-Id", id);
  };
}
