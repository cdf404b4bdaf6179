/** The display gateway over real sockets: what it lets through, what it refuses, and that slow peers cost no memory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import { CloseCode } from "../../contracts/gateway.ts";
import { createLogger } from "../../lib/log.ts";
import { dialTcp } from "../../server/agents/ssh/ssh_link.ts";
import { attachGateway } from "../../server/gateway/gateway.ts";
import { Tickets } from "../../server/gateway/tickets.ts";

/** A display that hands its connections to the test. */
async function startDisplay(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
const echo = (socket: Socket) => void socket.pipe(socket);

async function startGateway(displayPort: number) {
  const tickets = new Tickets();
  const stopping = new AbortController();
  const server: Server = createServer((_, response) => response.end("page"));
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  attachGateway(server, {
    tickets,
    agents: {
      dialDisplay: (hypervisorId, host, port) => {
        assert.equal(hypervisorId, "hypervisor-1");
        return dialTcp(host, port, undefined, 5000);
      },
    },
    log: createLogger({ mode: "test", level: "silent" }),
    signal: stopping.signal,
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const clients = new Set<WebSocket>();
  return {
    port,
    tickets,
    stopping,
    issue: (changes: { userId?: string; port?: number; machineId?: string } = {}) =>
      tickets.issue({
        machineId: "machine-1",
        hypervisorId: "hypervisor-1",
        userId: "anna",
        leaseId: "lease-1",
        host: "127.0.0.1",
        port: displayPort,
        expiresAt: Date.now() + 60_000,
        ...changes,
      }),
    open(path: string, options: { origin?: string; protocols?: string[] } = {}): WebSocket {
      const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options.protocols ?? [], {
        perMessageDeflate: false,
        ...(options.origin && { origin: options.origin }),
      });
      ws.on("error", () => ws.terminate());
      clients.add(ws);
      return ws;
    },
    [Symbol.asyncDispose]: async () => {
      for (const ws of clients) ws.terminate();
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function closing(ws: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = await once(ws, "close");
  return { code: code as number, reason: String(reason) };
}

/** Sends `CONNECT target`; resolves to the answer's status line and the socket. */
async function sendConnect(port: number, target: string): Promise<{ status: string; socket: Socket }> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`CONNECT ${target} HTTP/1.0\r\nHost: ${target}\r\nProxy-Connection: keep-alive\r\n\r\n`);
  const [answer] = await once(socket, "data");
  return { status: String(answer).split("\r\n")[0]!, socket };
}

/** Waits until a counter stands still: nothing more goes through. */
async function untilStill(count: () => number): Promise<number> {
  for (let last = -1, still = 0;; last = count()) {
    await delay(50);
    still = count() === last && last > 0 ? still + 1 : 0;
    if (still >= 6) return last;
  }
}

Deno.test("gateway: every channel of one ticket reaches the display, bytes unchanged both ways", async () => {
  await using display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  const ticket = gateway.issue();
  for (let channel = 0; channel < 3; channel++) {
    const ws = gateway.open(`/gateway/console/${ticket}`, { protocols: ["binary"] });
    await once(ws, "open");
    assert.equal(ws.protocol, "binary");
    const sent = crypto.getRandomValues(new Uint8Array(5_000));
    ws.send(sent);
    const received: Uint8Array[] = [];
    for (let bytes = 0; bytes < sent.length;) {
      const [data, isBinary] = await once(ws, "message");
      assert.equal(isBinary, true);
      received.push(data);
      bytes += data.length;
    }
    assert.deepEqual(new Uint8Array(await new Blob(received as BlobPart[]).arrayBuffer()), sent);
  }
  assert.equal(display.sockets.size, 3);
});

Deno.test("gateway: a ticket that is wrong or used up is closed with a code of its own, and nothing is dialled", async () => {
  let dialled = 0;
  await using display = await startDisplay(() => void dialled++);
  await using gateway = await startGateway(display.port);
  const closed = await closing(gateway.open(`/gateway/console/${"a".repeat(52)}`));
  assert.deepEqual(closed, { code: CloseCode.staleTicket, reason: "staleTicket" });
  const ticket = gateway.issue();
  const first = gateway.open(`/gateway/console/${ticket}`);
  await once(first, "open");
  first.close();
  await once(first, "close");
  while (gateway.tickets.openChannelCount > 0) await delay(5);
  assert.equal((await closing(gateway.open(`/gateway/console/${ticket}`))).code, CloseCode.staleTicket);
  assert.ok(dialled <= 1);
});

Deno.test("gateway: a display that is taken over, given back or gone says so", async () => {
  await using display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  const open = async (userId: string) => {
    const ws = gateway.open(`/gateway/console/${gateway.issue({ userId })}`);
    await once(ws, "open");
    const closed = closing(ws);
    // The display is connected once it echoes.
    ws.send("x");
    await once(ws, "message");
    return { closed };
  };
  const first = await open("anna");
  const second = await open("anna");
  assert.equal((await first.closed).code, CloseCode.takenOverByYou);
  const third = await open("ben");
  assert.equal((await second.closed).code, CloseCode.takenOver);
  gateway.tickets.revoke({ leaseId: "lease-1" }, "leaseEnded");
  assert.equal((await third.closed).code, CloseCode.leaseEnded);
  const fourth = await open("anna");
  for (const socket of display.sockets) socket.end();
  assert.equal((await fourth.closed).code, CloseCode.displayClosed);
  const fifth = await open("anna");
  gateway.stopping.abort();
  assert.equal((await fifth.closed).code, CloseCode.restarting);
});

Deno.test("gateway: a display that does not answer is told apart from a stale ticket", async () => {
  const display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  await display[Symbol.asyncDispose]();
  const ws = gateway.open(`/gateway/console/${gateway.issue()}`);
  assert.equal((await closing(ws)).code, CloseCode.unreachable);
});

Deno.test("gateway: pages of other origins and other paths are refused before the upgrade", async () => {
  await using display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  const statusOf = async (ws: WebSocket) => {
    const [, response] = await once(ws, "unexpected-response");
    response.resume();
    return response.statusCode;
  };
  const path = `/gateway/console/${gateway.issue()}`;
  assert.equal(await statusOf(gateway.open(path, { origin: "https://evil.example" })), 403);
  assert.equal(await statusOf(gateway.open(path, { origin: "null" })), 403);
  for (const other of ["/", "/api/events", "/gateway/console/", "/gateway/console/../x", `${path}?port=22`]) {
    assert.equal(await statusOf(gateway.open(other)), 404, other);
  }
  const own = gateway.open(path, { origin: `http://127.0.0.1:${gateway.port}` });
  await once(own, "open");
});

Deno.test("gateway: the latency socket echoes only while its ticket's display is open", async () => {
  await using display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  const ticket = gateway.issue();
  const early = gateway.open(`/gateway/latency/${ticket}`);
  await once(early, "open");
  early.send("ping");
  assert.equal((await closing(early)).code, CloseCode.staleTicket);
  const console = gateway.open(`/gateway/console/${ticket}`);
  await once(console, "open");
  const latency = gateway.open(`/gateway/latency/${ticket}`);
  await once(latency, "open");
  latency.send("ping 1");
  const [data, isBinary] = await once(latency, "message");
  assert.deepEqual([String(data), isBinary], ["ping 1", false]);
});

Deno.test("gateway: CONNECT with a ticket is a tunnel to its display", async () => {
  await using display = await startDisplay(echo);
  await using gateway = await startGateway(display.port);
  const { status, socket } = await sendConnect(gateway.port, `${gateway.issue()}:5900`);
  assert.equal(status, "HTTP/1.1 200 Connection established");
  socket.write("hello");
  const [data] = await once(socket, "data");
  assert.equal(String(data), "hello");
  gateway.tickets.revoke({ machineId: "machine-1" }, "kicked");
  await once(socket, "close");
});

Deno.test("neither the proxy nor the console can be made to connect to a host or port of the caller's choice (defect 3)", async () => {
  const dialled: string[] = [];
  await using display = await startDisplay(echo);
  await using secret = await startDisplay(() => void dialled.push("secret"));
  await using gateway = await startGateway(display.port);
  const ticket = gateway.issue();
  const targets = [
    `127.0.0.1:${secret.port}`,
    `localhost:${secret.port}`,
    `[::1]:${secret.port}`,
    `${ticket}.:${secret.port}`,
    `${ticket}@127.0.0.1:${secret.port}`,
    `http://127.0.0.1:${secret.port}/`,
    "x:1",
  ];
  for (const target of targets) {
    const { status, socket } = await sendConnect(gateway.port, target);
    assert.match(status, /^HTTP\/1\.1 (403|400) /, target);
    socket.destroy();
  }
  // With a valid ticket the port that is asked for does not matter.
  const { socket } = await sendConnect(gateway.port, `${ticket}:${secret.port}`);
  socket.write("to the display");
  const [data] = await once(socket, "data");
  assert.equal(String(data), "to the display");
  socket.destroy();
  assert.deepEqual(dialled, []);
});

Deno.test("gateway: a browser that does not read stops its display instead of filling memory", async () => {
  const total = 256 * 1024 * 1024;
  let written = 0;
  await using display = await startDisplay((socket) => {
    const chunk = new Uint8Array(64 * 1024);
    const push = () => {
      while (written < total && socket.write(chunk)) written += chunk.length;
      if (written < total) socket.once("drain", push);
    };
    push();
  });
  await using gateway = await startGateway(display.port);
  const ws = gateway.open(`/gateway/console/${gateway.issue()}`);
  let received = 0;
  ws.on("message", (data: Uint8Array) => void (received += data.length));
  await once(ws, "open");
  ws.pause();
  const rssBefore = Deno.memoryUsage().rss;
  const stoppedAt = await untilStill(() => written);
  assert.ok(stoppedAt < total / 4, `the display was stopped after ${stoppedAt} bytes`);
  assert.ok(Deno.memoryUsage().rss - rssBefore < 64 * 1024 * 1024, "memory stays flat");
  ws.resume();
  while (received < total) await once(ws, "message");
});

Deno.test("gateway: a display that does not read stops its browser", async () => {
  await using display = await startDisplay((socket) => void socket.pause());
  await using gateway = await startGateway(display.port);
  const ws = gateway.open(`/gateway/console/${gateway.issue()}`);
  await once(ws, "open");
  let taken = 0;
  const chunk = new Uint8Array(256 * 1024);
  for (let i = 0; i < 256; i++) ws.send(chunk, () => void (taken += chunk.length));
  const stoppedAt = await untilStill(() => taken);
  assert.ok(stoppedAt < 32 * 1024 * 1024, `the browser was stopped after ${stoppedAt} bytes`);
});
