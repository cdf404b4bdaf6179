/**
 * Binds handlers to the endpoint table of contracts/api.ts: rights, validation, status. A feature exports
 * `xRoutes(app): Handlers<"listX" | "createX">`; server/http/router.ts puts them together, and the compiler says which are missing.
 */
import type { Context, Hono } from "hono";
import { api, type BodyOf, type Endpoint, type EndpointName, type ResultOf } from "../../contracts/api.ts";
import { AppError, invalidInput } from "../../contracts/errors.ts";
import type { z } from "zod";
import type { Api } from "../../contracts/api.ts";
import type { Actor } from "../app.ts";
import type { LiveSession } from "../users/sessions.ts";

export type Env = {
  Variables: {
    requestId: string;
    actor: Actor | null;
    sessionToken: string | null;
    session: LiveSession | null;
    /** The endpoint's path, for figures. */
    route: string;
  };
};

export interface Request<N extends EndpointName> {
  /** The `:id` of the path; empty where the path has none. */
  id: string;
  query: z.output<Api[N]["query"]>;
  body: z.output<Api[N]["body"]>;
  /** Who asks; on public endpoints possibly nobody. */
  actor: Api[N]["access"] extends "public" ? Actor | null : Actor;
  /** For cookies, headers and answers that are not JSON. */
  c: Context<Env>;
}
/** What a handler may return: the endpoint's result, nothing where it has none, or a finished answer. */
type HandlerResult<N extends EndpointName> =
  | ResultOf<N>
  | Response
  | (undefined extends ResultOf<N> ? void : never);
export type Handler<N extends EndpointName> = (request: Request<N>) => Promise<HandlerResult<N>>;
export type Handlers<N extends EndpointName = EndpointName> = { [K in N]: Handler<K> };

const rank = { user: 0, operator: 1, admin: 2 } as const;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const bodyLimitBytes = 1024 * 1024;

/** @throws {AppError} `unauthenticated` or `forbidden` unless the caller may use the endpoint. */
export function requireAccess(endpoint: Pick<Endpoint, "access" | "summary">, actor: Actor | null): void {
  if (endpoint.access === "public") return;
  if (!actor) throw new AppError("unauthenticated", "Sign in first.");
  if (rank[actor.role] < rank[endpoint.access]) {
    throw new AppError(
      "forbidden",
      `${endpoint.summary}: this needs the role ${endpoint.access}, you have ${actor.role}.`,
    );
  }
}

async function readBody(c: Context<Env>): Promise<unknown> {
  const length = c.req.header("content-length");
  if (Number(length ?? 0) > bodyLimitBytes) throw tooLarge();
  const text = length === undefined ? await readUnannounced(c) : await c.req.text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError("invalid", "The request body is not valid JSON.");
  }
}

/** A body whose length its sender does not tell: read no further than to the limit. */
async function readUnannounced(c: Context<Env>): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = "";
  for await (const chunk of c.req.raw.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bodyLimitBytes) throw tooLarge();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

const tooLarge = () => new AppError("invalid", "The request body is larger than 1 MiB.");

function parse<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidInput(what, parsed.error);
  return parsed.data;
}

/** Registers every handler on the Hono app. */
export function bindEndpoints(hono: Hono<Env>, handlers: Handlers): void {
  for (const name of Object.keys(api) as EndpointName[]) {
    const endpoint: Endpoint = api[name];
    const handler = handlers[name] as (request: unknown) => Promise<unknown>;
    const hasQuery = endpoint.query.def.type !== "undefined";
    const hasBody = endpoint.body.def.type !== "undefined";
    hono.on(endpoint.method, endpoint.path, async (c) => {
      c.set("route", endpoint.path);
      const actor = c.get("actor");
      requireAccess(endpoint, actor);
      const id = c.req.param("id") ?? "";
      if (id !== "" && !uuid.test(id)) throw new AppError("not_found", `There is nothing at ${c.req.path}.`);
      const result = await handler({
        id,
        query: hasQuery ? parse(endpoint.query, c.req.query(), endpoint.summary) : undefined,
        body: hasBody ? parse(endpoint.body, await readBody(c), endpoint.summary) : undefined,
        actor,
        c,
      });
      return answer(c, endpoint, result);
    });
  }
}

function answer(c: Context<Env>, endpoint: Endpoint, result: unknown): Response {
  if (result instanceof Response) return result;
  if (endpoint.status === 204) return c.body(null, 204);
  const job = endpoint.status === 202 ? (result as { job?: { id: string } }).job : undefined;
  if (job) c.header("Location", `/api/jobs/${job.id}`);
  return c.json(result as Record<string, unknown>, endpoint.status);
}

export type { BodyOf, ResultOf };
