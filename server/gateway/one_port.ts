import type { Server } from "node:http";
import { createServer, type Server as TcpServer, type Socket } from "node:net";
import type { Server as TlsServer } from "node:https";

/** The first byte of a TLS connection: a record of the type "handshake" (RFC 8446, 5.1). */
const tlsHandshake = 0x16;
const firstByteMs = 15_000;

/**
 * One port for HTTPS and plain HTTP, told apart by the first byte. Native viewers need the plain side for their CONNECT:
 * spice-gtk speaks TLS to a proxy only if the system trusts its certificate, and there is no way to hand it an own CA.
 */
export function createOnePort(tls: TlsServer, plain: Server): TcpServer {
  return createServer({ noDelay: true }, (socket) => {
    const timer = setTimeout(() => socket.destroy(), firstByteMs);
    socket.once("close", () => clearTimeout(timer));
    socket.on("error", () => socket.destroy());
    socket.once("readable", () => {
      clearTimeout(timer);
      handOver(socket, tls, plain);
    });
  });
}

function handOver(socket: Socket, tls: TlsServer, plain: Server): void {
  const first: Uint8Array | null = socket.read(1);
  if (!first) return void socket.destroy();
  socket.unshift(first);
  (first[0] === tlsHandshake ? tls : plain).emit("connection", socket);
}
