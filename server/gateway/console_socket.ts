import type { Duplex } from "node:stream";
import { type RawData, WebSocket } from "ws";
import { CloseCode, type CloseReason } from "../../contracts/gateway.ts";
import type { Logger } from "../../lib/log.ts";
import type { Displays } from "./gateway.ts";
import type { Channel, Tickets } from "./tickets.ts";

/** A reader slower than its display stops the display at this much, so memory stays flat. */
const highWaterBytes = 256 * 1024;
const lowWaterBytes = 64 * 1024;
const pingMs = 20_000;

/** Relays one WebSocket to the display that its ticket opens, until either side ends. */
export async function serveConsole(
  ws: WebSocket,
  ticket: string,
  { tickets, agents }: Displays,
  log: Logger,
): Promise<void> {
  const channel: Channel = { close: (reason) => closeWith(ws, reason) };
  ws.on("error", (error) => log.debug({ err: error }, "console socket failed"));
  const target = tickets.admit(ticket, channel);
  if (!target) return closeWith(ws, "staleTicket");
  ws.once("close", () => tickets.release(ticket, channel));
  ws.pause();
  try {
    const display = await agents.dialDisplay(target.hypervisorId, target.host, target.port);
    if (ws.readyState !== WebSocket.OPEN) return void display.destroy();
    relay(ws, display);
    keepAlive(ws);
    ws.resume();
  } catch (error) {
    log.warn({ err: error, machineId: target.machineId }, "display unreachable");
    ws.resume();
    closeWith(ws, "unreachable");
  }
}

function relay(ws: WebSocket, display: Duplex): void {
  display.on("data", (bytes) => {
    ws.send(bytes, () => {
      if (ws.bufferedAmount <= lowWaterBytes) display.resume();
    });
    if (ws.bufferedAmount > highWaterBytes) display.pause();
  });
  ws.on("message", (message: RawData) => {
    if (!display.write(message as Uint8Array)) ws.pause();
  });
  display.on("drain", () => ws.resume());
  display.once("close", () => closeWith(ws, "displayClosed"));
  display.on("error", () => display.destroy());
  ws.once("close", () => display.destroy());
}

/** Finds peers that vanished without a word, and keeps idle connections open in routers on the way. */
function keepAlive(ws: WebSocket): void {
  let unanswered = 0;
  const timer = setInterval(() => {
    if (++unanswered > 3) return ws.terminate();
    ws.ping();
  }, pingMs);
  ws.on("pong", () => unanswered = 0);
  ws.once("close", () => clearInterval(timer));
}

/** Echoes, so that the console page can measure the way to the dashboard, for as long as the ticket's display is open. */
export function serveLatency(ws: WebSocket, ticket: string, tickets: Tickets): void {
  ws.on("error", () => ws.terminate());
  ws.on("message", (message: RawData) => {
    if (!tickets.isInUse(ticket)) return closeWith(ws, "staleTicket");
    if ((message as Uint8Array).length > 64) return ws.terminate();
    ws.send(String(message));
  });
}

/** Closes with a code that the console page can put into words. */
export function closeWith(ws: WebSocket, reason: CloseReason): void {
  if (ws.readyState === WebSocket.CLOSED) return;
  // A paused socket would not see the peer's answer to the close.
  ws.resume();
  ws.close(CloseCode[reason], reason);
}
