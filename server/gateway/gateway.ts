import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { AgentConnections } from "../agents/connections.ts";
import type { App } from "../app.ts";
import { serveConsole, serveLatency } from "./console_socket.ts";
import { serveConnect } from "./spice_proxy.ts";
import type { Tickets } from "./tickets.ts";

/** Larger than any message of a viewer: clipboard and files go in pieces of 64 KiB. */
const maxMessageBytes = 1024 * 1024;
const gatewayPath = /^\/gateway\/(console|latency)\/([a-z2-7]{1,64})$/;

/** What opens displays: the ticket says which, its hypervisor's connection leads there. */
export interface Displays {
  tickets: Tickets;
  agents: Pick<AgentConnections, "dialDisplay">;
}
type Gateway = Displays & Pick<App, "log">;

/** Adds the display gateway to a listener: consoles as WebSockets and native viewers by CONNECT, both by ticket. */
export function attachGateway(server: Server, app: Gateway & Pick<App, "signal">): void {
  const { tickets } = app;
  const log = app.log.child({ part: "gateway" });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    handleProtocols: (offered) => offered.has("binary") && "binary",
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const [, kind, ticket] = gatewayPath.exec(request.url ?? "") ?? [];
    if (!kind || !ticket) return refuseUpgrade(socket, "404 Not Found");
    if (!isSameOrigin(request)) return refuseUpgrade(socket, "403 Forbidden");
    sockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
      if (kind === "latency") return serveLatency(ws, ticket, tickets);
      void serveConsole(ws, ticket, app, log);
    });
  });
  attachViewerProxy(server, app);
  app.signal.addEventListener("abort", () => tickets.revoke({}, "restarting"), { once: true });
}

/** Lets native viewers through by CONNECT, each channel by its ticket. */
export function attachViewerProxy(server: Server, app: Gateway): void {
  const log = app.log.child({ part: "gateway" });
  server.on("connect", (request: IncomingMessage, socket: Duplex, head) => {
    void serveConnect(request, socket, head, app, log);
  });
}

/** Browsers say which page opens a WebSocket; other programs do not, and have no cookies to abuse. */
function isSameOrigin({ headers }: IncomingMessage): boolean {
  if (headers.origin === undefined) return true;
  return URL.canParse(headers.origin) && new URL(headers.origin).host === headers.host;
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
