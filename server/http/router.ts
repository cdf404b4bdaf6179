import { type Context, Hono } from "hono";
import { plainPaths } from "../../contracts/api.ts";
import { AppError } from "../../contracts/errors.ts";
import { version } from "../../lib/version.ts";
import type { App } from "../app.ts";
import { isAnswering } from "../db/health.ts";
import type { EventHub } from "../events/hub.ts";
import { serveEvents } from "../events/routes.ts";
import { addressOf } from "./client.ts";
import { docsPage } from "./docs_page.ts";
import { bindEndpoints, type Env, type Handlers } from "./endpoint.ts";
import { answerError, answerNotFound } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { openApiDocument } from "./openapi.ts";
import { requestId } from "./request_id.ts";
import { identify } from "./sessions.ts";
import { serveUi } from "./static_ui.ts";

export interface RouterParts {
  handlers: Handlers;
  /** Answers that are not JSON; they check the caller's rights themselves. */
  plain: Hono<Env>;
  hub: EventHub;
  metrics: Metrics;
  /** PEM of the dashboard's own CA. */
  ca(): string | null;
  /** How people reach the dashboard. */
  url(): string;
}

/** Puts the whole HTTP side together; works without a listener, too. */
export function createRouter(app: App, parts: RouterParts): Hono<Env> {
  const hono = new Hono<Env>();
  hono.onError(answerError(app.log));
  hono.notFound(answerNotFound);
  hono.use("*", requestId(app.config.trustProxy), parts.metrics.measure);
  hono.use("/api/*", noStore, identify(app));
  bindEndpoints(hono, parts.handlers);
  hono.route("/", parts.plain);
  hono.get(plainPaths.events, serveEvents(parts.hub));
  bindDocumentation(hono, parts.url);
  bindOperation(hono, app, parts);
  hono.all("/api/*", (c) => answerNotFound(c));
  hono.get("*", serveUi);
  return hono;
}

async function noStore(c: Context<Env>, next: () => Promise<void>) {
  await next();
  if (!c.res.headers.has("Cache-Control")) c.header("Cache-Control", "no-store");
}

function bindDocumentation(hono: Hono<Env>, url: () => string): void {
  hono.get(plainPaths.openApi, (c) => c.json(openApiDocument(url())));
  hono.get(plainPaths.docs, async (c) => {
    const { body, contentSecurityPolicy } = await docsPage();
    return c.html(body, 200, { "Content-Security-Policy": contentSecurityPolicy });
  });
}

function bindOperation(hono: Hono<Env>, app: App, { metrics, ca }: RouterParts): void {
  hono.get(plainPaths.health, async (c) => {
    const ok = !app.signal.aborted && await isAnswering(app.db);
    return c.json({ status: ok ? "ok" : "unavailable", version }, ok ? 200 : 503);
  });
  hono.get(plainPaths.metrics, identify(app), async (c) => {
    const address = addressOf(c, app.config);
    const isHere = (address === "127.0.0.1" || address === "::1") && !c.req.header("x-forwarded-for");
    const role = c.get("actor")?.role;
    if (!isHere && role !== "admin" && role !== "operator") {
      throw new AppError("forbidden", "Metrics are told to this host, and to operators.");
    }
    return c.text(await metrics.text());
  });
  hono.get(plainPaths.certificate, (c) => {
    const pem = ca();
    if (pem === null) throw new AppError("not_found", "This dashboard does not use a CA of its own.");
    return c.body(pem, 200, {
      "Content-Type": "application/x-pem-file",
      "Content-Disposition": 'attachment; filename="kvm-vdi-ca.pem"',
    });
  });
}
