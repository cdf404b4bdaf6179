/** A console's WebSocket without a browser: sends what a SPICE client begins with. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { WebSocket } from "ws";
import { linkMessage, spiceChannel } from "./spice_link.ts";
import type { Stand } from "./stand.ts";

export class ConsoleLink implements Disposable {
  private constructor(private readonly socket: WebSocket) {}

  static async open(stand: Stand, webSocketPath: string): Promise<ConsoleLink> {
    const url = new URL(webSocketPath, stand.url.replace(/^http/, "ws"));
    const socket = new WebSocket(url, { ca: await stand.certificate() });
    await once(socket, "open");
    return new ConsoleLink(socket);
  }

  /** The magic of the display server's answer. */
  async firstBytes(): Promise<string> {
    const answer = once(this.socket, "message", { signal: AbortSignal.timeout(10_000) });
    this.socket.send(linkMessage(spiceChannel.main, 0));
    const [message] = await answer;
    return Buffer.from(message as Uint8Array).subarray(0, 4).toString("latin1");
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}
