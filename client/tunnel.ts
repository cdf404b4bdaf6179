/**
 * A proxy on the loopback for one viewer: it takes `CONNECT <ticket>:<port>` of exactly one ticket and carries it to the
 * dashboard's proxy over TLS, which viewers cannot do themselves.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

const maxHeadBytes = 8 * 1024;
const headTimeoutMs = 10_000;
/** How long the dashboard may take until its first byte comes back. */
const answerTimeoutMs = 20_000;

export interface TunnelEvents {
  /** A display connection was opened; `open` is how many there are. */
  onOpen(open: number): void;
  /** One ended; `byDashboard` tells who ended it first. */
  onClose(open: number, byDashboard: boolean): void;
}

export class Tunnel implements AsyncDisposable {
  #server: Server;
  #sockets = new Set<Socket>();
  #open = 0;

  /** @param dial opens a connection to the dashboard's port */
  constructor(
    private readonly ticket: string,
    private readonly dial: () => Socket,
    private readonly events: TunnelEvents,
  ) {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Returns the port on 127.0.0.1. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  #accept(viewer: Socket): void {
    this.#track(viewer);
    viewer.setNoDelay(true);
    let head = new Uint8Array();
    const timer = setTimeout(() => viewer.destroy(), headTimeoutMs);
    viewer.once("close", () => clearTimeout(timer));
    const onData = (chunk: Uint8Array) => {
      head = concat(head, chunk);
      const text = new TextDecoder("latin1").decode(head);
      if (!text.includes("\r\n\r\n") && head.length <= maxHeadBytes) return;
      clearTimeout(timer);
      viewer.off("data", onData);
      viewer.pause();
      const target = /^CONNECT (\S+):\d+ HTTP\/1\.[01]\r\n/.exec(text)?.[1];
      if (target === this.ticket) this.#relay(viewer, head);
      else viewer.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    viewer.on("data", onData);
  }

  #relay(viewer: Socket, head: Uint8Array): void {
    const dashboard = this.dial();
    this.#track(dashboard);
    let endedBy: "viewer" | "dashboard" | null = null;
    const timer = setTimeout(() => dashboard.destroy(), answerTimeoutMs);
    dashboard.once("data", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
    this.events.onOpen(++this.#open);
    for (const [socket, name] of [[viewer, "viewer"], [dashboard, "dashboard"]] as const) {
      socket.once("end", () => endedBy ??= name);
      socket.once("close", () => {
        endedBy ??= name;
        viewer.destroy();
        dashboard.destroy();
      });
    }
    viewer.once("close", () => this.events.onClose(--this.#open, endedBy === "dashboard"));
    dashboard.write(head);
    viewer.pipe(dashboard);
    dashboard.pipe(viewer);
    viewer.resume();
  }
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
