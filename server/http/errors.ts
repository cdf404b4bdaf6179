import type { ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError, type ErrorBody, errorInfoOf, httpStatusOf } from "../../contracts/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Env } from "./endpoint.ts";

/** Turns whatever a handler threw into the one JSON shape; what was not expected is logged with the request's id. */
export const answerError = (log: Logger): ErrorHandler<Env> => (error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  const requestId = c.get("requestId");
  const info = errorInfoOf(error);
  const request = { requestId, method: c.req.method, path: c.req.path };
  if (info.code === "internal") log.error({ err: error, ...request }, "request failed");
  else if (error instanceof AppError && error.cause !== undefined) {
    log.warn({ err: error.cause, ...request, code: info.code }, info.message);
  }
  return c.json({ error: { ...info, requestId } } satisfies ErrorBody, httpStatusOf[info.code]);
};

export const answerNotFound: NotFoundHandler<Env> = (c) => {
  const message = `There is nothing at ${c.req.method} ${c.req.path}.`;
  return c.json(
    { error: { code: "not_found", message, requestId: c.get("requestId") } } satisfies ErrorBody,
    404,
  );
};
