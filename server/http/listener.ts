import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Server as TcpServer, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { attachGateway } from "../gateway/gateway.ts";
import { createOnePort } from "../gateway/one_port.ts";
import type { Certificate } from "./certificates.ts";
import { securityHeaders } from "./security_headers.ts";

export interface Listener {
  port: number;
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

/** Serves UI, API, consoles and the SPICE proxy on one port: HTTPS, or plain HTTP without a certificate. */
export async function startListener(
  app: App,
  fetch: Fetch,
  certificate: Certificate | null,
): Promise<Listener> {
  const requests = new RequestCount();
  const serve = requests.counting(serveWithHeaders(fetch));
  const plain = createHttpServer(certificate ? redirectToHttps : serve);
  const tls = certificate ? createHttpsServer(pemOf(certificate), serve) : null;
  for (const server of [plain, tls]) {
    if (!server) continue;
    server.keepAliveTimeout = keepAliveMs;
    server.headersTimeout = headersTimeoutMs;
    server.requestTimeout = requestTimeoutMs;
    attachGateway(server as Server, app);
  }
  const front: TcpServer = tls ? createOnePort(tls, plain) : plain;
  const sockets = trackSockets(front);
  await listen(front, app.config.listen);
  return {
    port: (front.address() as AddressInfo).port,
    renew: (next) => (tls as TlsServer | null)?.setSecureContext(pemOf(next)),
    close: async (graceMs = 5_000) => {
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      await requests.untilNone(graceMs);
      for (const socket of sockets) socket.destroy();
      await closed;
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

/** A browser that was sent to http:// on the TLS port is led to https://; programs are told. */
const redirectToHttps: RequestListener = (request, response) => {
  const host = request.headers.host;
  const isPage = request.method === "GET" || request.method === "HEAD";
  if (!isPage || !host || !/^[A-Za-z0-9.:[\]-]+$/.test(host)) {
    const error = new AppError("invalid", "This port speaks HTTPS. Use https:// in the address.").info;
    response.writeHead(400, { "Content-Type": "application/json", "Connection": "close" });
    return void response.end(JSON.stringify({ error }));
  }
  const target = `https://${host}${request.url?.startsWith("/") ? request.url : "/"}`;
  response.writeHead(307, { "Location": target, "Connection": "close" });
  response.end();
};

/** Every connection, so that draining can end those that idle. */
function trackSockets(server: TcpServer): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

function listen(server: TcpServer, { host, port }: { host: string; port: number }): Promise<void> {
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
