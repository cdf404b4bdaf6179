import { connect, type Socket } from "node:net";
import type { DisplayTarget } from "./tickets.ts";

const dialTimeoutMs = 5_000;

/** Connects to a display, without Nagle's delay: key presses and pointer moves are small and must not wait. */
export function dialDisplay({ host, port }: DisplayTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    const timer = setTimeout(() => socket.destroy(new Error("timed out")), dialTimeoutMs);
    socket.once("error", (cause) => {
      clearTimeout(timer);
      reject(new Error(`Connecting to the display at ${host}:${port}: ${cause.message}`, { cause }));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
