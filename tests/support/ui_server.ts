/**
 * Serves the bundled UI with an in-memory API of the contracts' shapes, for screenshots and UI tests without libvirt.
 * By hand: `deno run -A tests/support/ui_server.ts [--empty] [--port 8099] [--ui DIR]`.
 */
import type { z } from "zod";
import {
  type Access,
  type Api,
  api,
  type BodyOf,
  type EndpointName,
  type ResultOf,
} from "../../contracts/api.ts";
import type { DashboardEvent } from "../../contracts/events.ts";
import { AppError, httpStatusOf, invalidInput } from "../../contracts/errors.ts";
import { securityHeaders } from "../../server/http/security_headers.ts";
import { handlers } from "./ui_api.ts";
import { receivePiece } from "./ui_storage_api.ts";
import { emptyWorld, largeWorld } from "./ui_world.ts";
import { overviewOf, type World } from "./ui_world_parts.ts";

export type ParsedQuery<N extends EndpointName> = z.output<Api[N]["query"]>;
export interface Call<N extends EndpointName> {
  id: string;
  query: ParsedQuery<N>;
  body: BodyOf<N>;
  server: UiServer;
}
export type Handlers = {
  [N in EndpointName]?: (call: Call<N>, world: World) => ResultOf<N> | Promise<ResultOf<N>>;
};

export interface UiServerOptions {
  world?: World;
  port?: number;
  /** Folder with index.html. */
  uiDir?: string;
  signedIn?: boolean;
}

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  css: "text/css",
  woff2: "font/woff2",
  svg: "image/svg+xml",
};
export class UiServer {
  readonly world: World;
  readonly requests: string[] = [];
  /** What arrived of each upload. */
  readonly received = new Map<string, Uint8Array[]>();
  /** Runs before a piece of an upload is taken; may throw. */
  beforePiece: (offset: number) => void | Promise<void> = () => {};
  /** The user that is signed in, or null. */
  userId: string | null;
  /** Answers the next calls of an endpoint with an error, while set. */
  readonly failures = new Map<EndpointName, AppError>();
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #uiDir: string;

  constructor(options: UiServerOptions = {}) {
    this.world = options.world ?? largeWorld();
    this.userId = options.signedIn === false ? null : this.world.users[0]!.id;
    this.#uiDir = options.uiDir ?? "dist/ui";
    this.#server = Deno.serve(
      { port: options.port ?? 0, hostname: "127.0.0.1", onListen() {} },
      (request) => this.#handle(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get me() {
    return this.world.users.find((user) => user.id === this.userId);
  }

  /** Sends an event to every open page. */
  publish(event: DashboardEvent): void {
    const bytes = new TextEncoder().encode(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    for (const stream of this.#streams) stream.enqueue(bytes);
  }

  /** Cuts every event stream, as a restart of the dashboard would. */
  dropStreams(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  /** Does something later, unless the server is closed before. */
  after(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.dropStreams();
    await this.#server.shutdown();
  }

  async #handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (!url.pathname.startsWith("/api/")) return this.#file(url.pathname);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    try {
      return await this.#api(request, url);
    } catch (error) {
      const failure = error instanceof AppError ? error : new AppError("internal", String(error));
      return Response.json({ error: { ...failure.info, requestId: "test-request" } }, {
        status: httpStatusOf[failure.code],
      });
    }
  }

  async #file(path: string): Promise<Response> {
    const name = path.includes(".") ? path : "/index.html";
    const headers = {
      ...securityHeaders,
      "content-type": types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream",
    };
    try {
      return new Response(await Deno.readFile(this.#uiDir + name), { headers });
    } catch {
      return new Response("not found", { status: 404 });
    }
  }

  async #api(request: Request, url: URL): Promise<Response> {
    if (url.pathname === "/api/events") return this.#events();
    const special = url.pathname.match(/^\/api\/machines\/([^/]+)\/(screenshot|xml)$/);
    if (special) return this.#machineFile(special[1]!, special[2]!);
    const piece = request.method === "PATCH" && url.pathname.match(/^\/api\/uploads\/([^/]+)$/);
    if (piece) return await this.#piece(piece[1]!, request);
    const found = findEndpoint(request.method, url.pathname);
    if (!found) throw new AppError("not_found", `There is no ${request.method} ${url.pathname}.`);
    this.#authorize(api[found.name].access);
    const failure = this.failures.get(found.name);
    if (failure) throw failure;
    return await this.#call(found.name, found.id, request, url);
  }

  async #call<N extends EndpointName>(name: N, id: string, request: Request, url: URL): Promise<Response> {
    const endpoint = api[name];
    const text = await request.text();
    const body = parse("body", endpoint.body, text === "" ? undefined : JSON.parse(text));
    const params = url.search ? Object.fromEntries(url.searchParams) : {};
    const query = endpoint.query.type === "undefined" ? undefined : parse("query", endpoint.query, params);
    if (Object.hasOwn(params, "format") && params.format === "vv") {
      return new Response("[virt-viewer]\ntype=spice\n", {
        headers: { "content-type": "application/x-virt-viewer" },
      });
    }
    const handler = handlers[name];
    if (!handler) throw new AppError("unavailable", `The test server has no ${name}.`);
    const call = { id, query, body, server: this } as Call<N>;
    const result = await (handler as (call: Call<N>, world: World) => unknown)(call, this.world);
    if (endpoint.status === 204) return new Response(null, { status: 204 });
    return Response.json(endpoint.result.parse(result), { status: endpoint.status });
  }

  #authorize(access: Access): void {
    const rank = { public: 0, user: 1, operator: 2, admin: 3 };
    const role = this.me?.role;
    if (access !== "public" && !role) throw new AppError("unauthenticated", "Sign in first.");
    if (rank[access] > rank[role ?? "public"]) {
      throw new AppError("forbidden", "Your role does not allow this.");
    }
  }

  #events(): Response {
    this.#authorize("user");
    const user = this.me!;
    const staff = user.role !== "user";
    const snapshot: DashboardEvent = {
      type: "snapshot",
      user: { id: user.id, username: user.username, displayName: user.displayName, role: user.role },
      overview: staff ? overviewOf(this.world) : null,
      jobs: staff ? this.world.jobs.filter((job) => job.state === "running" || job.state === "queued") : [],
      desktops: this.world.leases.filter((lease) => lease.userId === user.id && lease.endedAt === null),
    };
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        own = controller;
        this.#streams.add(controller);
        controller.enqueue(
          new TextEncoder().encode(`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`),
        );
      },
      cancel: () => void this.#streams.delete(own),
    });
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  }

  async #piece(id: string, request: Request): Promise<Response> {
    this.#authorize("admin");
    const bytes = new Uint8Array(await request.arrayBuffer());
    const offset = Number(request.headers.get("upload-offset"));
    await this.beforePiece(offset);
    return Response.json({ upload: receivePiece(this, id, offset, bytes) });
  }

  #machineFile(id: string, kind: string): Response {
    const machine = this.world.machines.find((one) => one.id === id);
    if (!machine) throw new AppError("not_found", "There is no such machine.");
    if (kind === "xml") {
      return new Response(
        `<domain type="kvm">\n  <name>${machine.name}</name>\n  <uuid>${id}</uuid>\n</domain>\n`,
        {
          headers: { "content-type": "text/xml" },
        },
      );
    }
    if (machine.state !== "running") throw new AppError("conflict", `${machine.name} is not running.`);
    return new Response(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" width="640" height="400"><rect width="640" height="400" fill="#12343b"/><rect y="376" width="640" height="24" fill="#0b2025"/><rect x="60" y="50" width="380" height="240" rx="6" fill="#f4f4f4"/><rect x="60" y="50" width="380" height="26" rx="6" fill="#2d6a75"/><text x="74" y="68" font-size="14" fill="#fff" font-family="sans-serif">${machine.name}</text></svg>`,
      { headers: { "content-type": "image/svg+xml" } },
    );
  }
}

function parse(what: string, schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidInput(`The ${what} of the request`, parsed.error);
  return parsed.data;
}

function findEndpoint(method: string, path: string): { name: EndpointName; id: string } | undefined {
  let match: { name: EndpointName; id: string } | undefined;
  for (const name of Object.keys(api) as EndpointName[]) {
    const pattern = new RegExp(`^${api[name].path.replace(":id", "([^/]+)")}$`);
    const groups = api[name].method === method ? path.match(pattern) : null;
    if (groups && !(match && match.id === "")) match = { name, id: groups[1] ?? "" };
  }
  return match;
}

if (import.meta.main) {
  const flag = (name: string) => Deno.args[Deno.args.indexOf(name) + 1];
  const server = new UiServer({
    world: Deno.args.includes("--empty") ? emptyWorld() : largeWorld(),
    port: Deno.args.includes("--port") ? Number(flag("--port")) : 8099,
    ...(Deno.args.includes("--ui") ? { uiDir: flag("--ui") } : {}),
  });
  console.log(server.url);
}
