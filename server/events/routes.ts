import type { Handler } from "hono";
import { AppError } from "../../contracts/errors.ts";
import type { Env } from "../http/endpoint.ts";
import type { EventHub } from "./hub.ts";

/** The event stream; see contracts/events.ts. */
export const serveEvents = (hub: EventHub): Handler<Env> => async (c) => {
  const session = c.get("session");
  if (!session) throw new AppError("unauthenticated", "Sign in first.");
  const body = await hub.connect(session);
  return c.body(body as ReadableStream, 200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    // nginx would collect events before passing them on.
    "X-Accel-Buffering": "no",
  });
};
