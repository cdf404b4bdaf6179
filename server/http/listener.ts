import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { attachGateway, attachViewerProxy } from "../gateway/gateway.ts";
import type { Certificate } from "./certificates.ts";
import { securityHeaders } from "./security_headers.ts";

export interface Listener {
  port: number;
  /** Where native viewers send their CONNECT; null when that is off. */
  viewerPort: number | null;
  /** Uses another certificate for connections from now on. */
  renew(certificate: Certificate): void;
  /** Lets running requests end (not longer than `graceMs`), then closes everything. */
  close(graceMs?: number): Promise<void>;
}

type Fetch = (request: Request, env: object) => Response | Promise<Response>;

const keepAliveMs = 75_000;
/** How long a client may take to send its headers, and a whole request. */
const headersTimeoutMs = 20_000;
const requestTimeoutMs = 120_000;

/**
 * Serves UI, API, consoles and CONNECT on one port: HTTPS, or plain HTTP without a certificate. Native viewers get a
 * port of their own for plain CONNECT: spice-gtk speaks TLS to a proxy only if the whole system trusts its certificate.
 * (One port for both would need sockets handed over to node:https, which loses connections under Deno.)
 */
export async function startListener(
  app: App,
  fetch: Fetch,
  certificate: Certificate | null,
): Promise<Listener> {
  const requests = new RequestCount();
  const serve = requests.counting(serveWithHeaders(fetch));
  const tls = certificate && createHttpsServer(pemOf(certificate), serve);
  const main = tls ?? createHttpServer(serve);
  const viewers = app.config.viewerProxy ? createHttpServer(leadToPages(app)) : null;
  const servers = viewers ? [main, viewers] : [main];
  for (const server of servers) {
    server.keepAliveTimeout = keepAliveMs;
    server.headersTimeout = headersTimeoutMs;
    server.requestTimeout = requestTimeoutMs;
  }
  attachGateway(main as Server, app);
  if (viewers) attachViewerProxy(viewers, app);
  const sockets = trackSockets(servers);
  const { host, port } = app.config.listen;
  const portOf = (server: Server | HttpsServer) => (server.address() as AddressInfo).port;
  await listen(main, host, port);
  if (viewers) {
    await listen(viewers, host, app.config.viewerPort ?? (port === 0 ? 0 : port + 1)).catch((error) => {
      main.close();
      throw error;
    });
  }
  return {
    port: portOf(main),
    viewerPort: viewers && portOf(viewers),
    renew: (next) => tls?.setSecureContext(pemOf(next)),
    close: async (graceMs = 5_000) => {
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      await requests.untilNone(graceMs);
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

const pemOf = ({ chain, key }: Certificate) => ({ cert: chain, key });

function serveWithHeaders(fetch: Fetch): RequestListener {
  const listener = getRequestListener(fetch as Parameters<typeof getRequestListener>[0], {
    overrideGlobalObjects: false,
  });
  const headers = Object.entries(securityHeaders);
  return (request, response) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    void listener(request, response);
  };
}

/** The viewers' port has no pages: a browser is led to the dashboard, programs are told. */
const leadToPages = (app: App): RequestListener => (request, response) => {
  const { listen, publicUrl, insecureHttp } = app.config;
  const name = /^[A-Za-z0-9.-]+|^\[[0-9a-fA-F:]+\]/.exec(request.headers.host ?? "")?.[0];
  if ((request.method !== "GET" && request.method !== "HEAD") || !name) {
    const error =
      new AppError("invalid", "This port is for display viewers; the dashboard has its own.").info;
    response.writeHead(400, { "Content-Type": "application/json", "Connection": "close" });
    return void response.end(JSON.stringify({ error }));
  }
  const origin = publicUrl ?? `${insecureHttp ? "http" : "https"}://${name}:${listen.port}`;
  response.writeHead(307, { "Location": `${origin}/`, "Connection": "close" });
  response.end();
};

/** Every connection, so that draining can end those that idle. */
function trackSockets(servers: (Server | HttpsServer)[]): Set<Socket> {
  const sockets = new Set<Socket>();
  for (const server of servers) {
    server.on("connection", (socket: Socket) => {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
  }
  return sockets;
}

function listen(server: Server | HttpsServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE"
        ? "something else listens there; choose another with --listen"
        : cause.code === "EACCES"
        ? "that needs root; use a port from 1024"
        : cause.message;
      reject(new AppError("unavailable", `Listening on ${host}:${port} failed: ${reason}.`, { cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

/** Requests that are being answered, for draining. */
class RequestCount {
  #open = 0;
  #onNone: (() => void) | undefined;

  counting(listener: RequestListener): RequestListener {
    return (request, response) => {
      this.#open++;
      response.once("close", () => {
        if (--this.#open === 0) this.#onNone?.();
      });
      void listener(request, response);
    };
  }

  async untilNone(timeoutMs: number): Promise<void> {
    if (this.#open === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onNone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
