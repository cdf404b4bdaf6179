/**
 * The console gateway beside Debian's websockify, in turns, in one run: throughput of a display that sends as fast as
 * it can, memory of an open connection, and memory while nobody reads. Display, relay and reader share the machine's
 * cores: with two of them the rate is that of all three together, and the relay's processor time is what compares.
 * Usage: deno run -A tests/bench/gateway.ts
 */
import { connect, createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "../../lib/log.ts";
import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { dialTcp } from "../../server/agents/ssh/ssh_link.ts";
import { attachGateway } from "../../server/gateway/gateway.ts";
import { Tickets } from "../../server/gateway/tickets.ts";

const rounds = 5;
const secondsEach = 3;
const idleConnections = 200;
const slowReaders = 20;
const mib = 1024 * 1024;

/** Sends for ever to whoever says "more", nothing to others. */
async function serveDisplay(): Promise<void> {
  const chunk = new Uint8Array(64 * 1024);
  const server = createTcpServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => {
      const push = () => {
        while (!socket.destroyed && socket.write(chunk));
        socket.once("drain", push);
      };
      push();
    });
  });
  console.log(await listenOn(server));
}

/** The gateway alone, with a ticket for every line of its output. */
async function serveGateway(displayPort: number, ticketCount: number): Promise<void> {
  const tickets = new Tickets();
  const server = createServer();
  const log = createLogger({ mode: "bench", level: "error" });
  attachGateway(server, {
    tickets,
    agents: { dialDisplay: (_hypervisorId, host, port) => dialTcp(host, port, undefined, 5000) },
    log,
    signal: new AbortController().signal,
  });
  console.log(await listenOn(server));
  for (let i = 0; i < ticketCount; i++) {
    console.log(tickets.issue({
      machineId: `machine-${i}`,
      hypervisorId: "here",
      userId: "bench",
      leaseId: null,
      host: "127.0.0.1",
      port: displayPort,
      expiresAt: Date.now() + 3_600_000,
    }));
  }
  console.log("ready");
}

function listenOn(server: TcpServer): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
  );
}

interface Relay extends AsyncDisposable {
  name: string;
  pid: number;
  port: number;
  /** A path that opens a new display. */
  path(): string;
}

const selfArgv = (...args: string[]) => [
  Deno.execPath(),
  "run",
  "-A",
  "--quiet",
  "--config",
  new URL("../../deno.json", import.meta.url).pathname,
  new URL(import.meta.url).pathname,
  ...args,
];

async function startGateway(displayPort: number, ticketCount: number): Promise<Relay> {
  const child = spawn(selfArgv("gateway", String(displayPort), String(ticketCount)), {
    diesWithParent: true,
  });
  const lines: string[] = [];
  for await (const line of child.lines()) {
    if (line === "ready") break;
    lines.push(line);
  }
  const [port, ...tickets] = lines;
  return relay("gateway", child, Number(port), () => `/gateway/console/${tickets.pop()}`);
}

async function startWebsockify(displayPort: number): Promise<Relay> {
  const port = displayPort + 1;
  const child = spawn(["websockify", `127.0.0.1:${port}`, `127.0.0.1:${displayPort}`], {
    stdout: "null",
    stderr: "null",
    diesWithParent: true,
  });
  for (let tries = 0; tries < 100 && !await isListening(port); tries++) await delay(100);
  return relay("websockify", child, port, () => "/websockify");
}

const relay = (name: string, child: RunningProcess, port: number, path: () => string): Relay => ({
  name,
  pid: child.pid,
  port,
  path,
  [Symbol.asyncDispose]: async () => void await child.stop(),
});

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });
}

/** Opens a WebSocket by hand: reading it costs the bench nothing but counting. */
async function openSocket(relay: Relay, { asks }: { asks: boolean }): Promise<Socket> {
  const socket = connect({ port: relay.port, host: "127.0.0.1", noDelay: true });
  socket.write(
    `GET ${relay.path()} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n\r\n",
  );
  await new Promise<void>((resolve, reject) => {
    socket.once(
      "data",
      (head: Uint8Array) =>
        new TextDecoder().decode(head).includes(" 101 ")
          ? resolve()
          : reject(new Error(`${relay.name} refused`)),
    );
    socket.once("error", reject);
  });
  // One masked binary frame of one byte; its mask is zero.
  if (asks) socket.write(new Uint8Array([0x82, 0x81, 0, 0, 0, 0, 1]));
  return socket;
}

interface Pace {
  megabytesPerSecond: number;
  /** The relay's own processor time, which is what limits a server with many displays. */
  cpuSecondsPerGigabyte: number;
}

async function throughput(relay: Relay, connections: number): Promise<Pace> {
  const sockets = await Promise.all(
    Array.from({ length: connections }, () => openSocket(relay, { asks: true })),
  );
  let bytes = 0;
  for (const socket of sockets) socket.on("data", (data: Uint8Array) => void (bytes += data.length));
  await delay(300);
  const [from, cpuFrom, startedAt] = [bytes, await cpuSecondsOf(relay.pid), performance.now()];
  await delay(secondsEach * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  const [moved, cpuSeconds] = [bytes - from, await cpuSecondsOf(relay.pid) - cpuFrom];
  for (const socket of sockets) socket.destroy();
  await delay(200);
  return { megabytesPerSecond: moved / 1e6 / seconds, cpuSecondsPerGigabyte: cpuSeconds / (moved / 1e9) };
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter(Boolean).map(Number);
}

const ticksPerSecond = 100;

/** Processor time of a process and its children so far. */
async function cpuSecondsOf(pid: number): Promise<number> {
  let ticks = 0;
  for (const id of [pid, ...await childrenOf(pid)]) {
    const stat = await Deno.readTextFile(`/proc/${id}/stat`).catch(() => "");
    const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
    ticks += (user ?? 0) + (system ?? 0);
  }
  return ticks / ticksPerSecond;
}

/** Memory of a process and its children, in bytes; what they share is counted once (PSS). */
async function memoryOf(pid: number): Promise<number> {
  let bytes = 0;
  for (const id of [pid, ...await childrenOf(pid)]) {
    const rollup = await Deno.readTextFile(`/proc/${id}/smaps_rollup`).catch(() => "");
    bytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

async function memoryEach(relay: Relay, connections: number, asks: boolean): Promise<number> {
  const before = await memoryOf(relay.pid);
  const sockets = await Promise.all(Array.from({ length: connections }, () => openSocket(relay, { asks })));
  for (const socket of sockets) socket.pause();
  await delay(3_000);
  const each = (await memoryOf(relay.pid) - before) / connections;
  for (const socket of sockets) socket.destroy();
  await delay(500);
  return each;
}

async function bench(): Promise<void> {
  await using display = spawn(selfArgv("display"), { diesWithParent: true });
  const { value: line } = await display.lines().next();
  const displayPort = Number(line);
  await using ours = await startGateway(displayPort, 2_000);
  const hasReference = await run(["websockify", "--help"]).then(() => true, () => false);
  await using theirs = hasReference ? await startWebsockify(displayPort) : null;
  if (!theirs) console.log("websockify is not installed (apt-get install websockify): no comparison");
  const relays = theirs ? [theirs, ours] : [ours];
  for (const connections of [1, 4]) await compare(relays, connections);
  await memory(relays);
}

async function compare(relays: Relay[], connections: number): Promise<void> {
  const paces = new Map<string, Pace[]>(relays.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const relay of relays) paces.get(relay.name)!.push(await throughput(relay, connections));
  }
  const rows = relays.map(({ name }) => ({
    name,
    rate: median(paces.get(name)!.map(({ megabytesPerSecond }) => megabytesPerSecond)),
    cost: median(paces.get(name)!.map(({ cpuSecondsPerGigabyte }) => cpuSecondsPerGigabyte)),
  }));
  const words = rows.map(({ name, rate, cost }) =>
    `${name} ${Math.round(rate)} MB/s at ${cost.toFixed(2)} CPU s/GB`
  );
  const [reference, own] = rows;
  const ratio = reference && own ? `; ${(own.rate / reference.rate).toFixed(2)} times the rate (goal 2)` : "";
  console.log(`${connections} connection(s): ${words.join(", ")}${ratio}`);
}

async function memory(relays: Relay[]): Promise<void> {
  for (const relay of relays) {
    const idle = await memoryEach(relay, idleConnections, false);
    const stuck = await memoryEach(relay, slowReaders, true);
    console.log(
      `${relay.name}: ${(idle / mib).toFixed(2)} MiB an idle connection (of ${idleConnections}), ` +
        `${(stuck / mib).toFixed(2)} MiB one that does not read (of ${slowReaders})`,
    );
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

if (Deno.args[0] === "display") await serveDisplay();
else if (Deno.args[0] === "gateway") await serveGateway(Number(Deno.args[1]), Number(Deno.args[2]));
else await bench();
