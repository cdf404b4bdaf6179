import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Logger } from "../../lib/log.ts";
import type { Displays } from "./gateway.ts";

const authority = /^([a-z2-7]{52}):\d{1,5}$/;

/**
 * Answers `CONNECT <ticket>:<port>`, as native viewers send it for every SPICE channel when a proxy is set. The
 * "host" is nothing but the ticket: there is no way to name a host or port, and everything else is refused.
 */
export async function serveConnect(
  request: IncomingMessage,
  client: Duplex,
  head: Uint8Array,
  { tickets, agents }: Displays,
  log: Logger,
): Promise<void> {
  const ticket = authority.exec(request.url ?? "")?.[1];
  const channel = { close: () => void client.destroy() };
  client.on("error", () => client.destroy());
  const target = ticket === undefined ? null : tickets.admit(ticket, channel);
  if (!ticket || !target) {
    return refuse(
      client,
      "403 Forbidden",
      "This display ticket is unknown, used up or too old. Open it again.\n",
    );
  }
  client.once("close", () => tickets.release(ticket, channel));
  try {
    const display = await agents.dialDisplay(target.hypervisorId, target.host, target.port);
    if (client.destroyed) return void display.destroy();
    if ("setNoDelay" in client) (client as Socket).setNoDelay(true);
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    tunnel(client, display, head);
  } catch (error) {
    log.warn({ err: error, machineId: target.machineId }, "display unreachable");
    refuse(client, "502 Bad Gateway", "The display could not be reached.\n");
  }
}

function tunnel(client: Duplex, display: Duplex, head: Uint8Array): void {
  if (head.length > 0) display.write(head);
  display.on("error", () => display.destroy());
  display.once("close", () => client.end());
  client.once("close", () => display.destroy());
  client.pipe(display);
  display.pipe(client);
}

function refuse(client: Duplex, status: string, text: string): void {
  client.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
}
