import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { Tunnel } from "./tunnel.ts";

/** A dashboard that greets every connection with what it got from it. */
async function startEcho() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("data", (chunk) => socket.write(`got ${chunk}`)).on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    sockets,
    dial: () => connect({ host: "127.0.0.1", port }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function open(port: number, target: string): Promise<{ conn: Deno.Conn; first: string }> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = new TextEncoder().encode(`CONNECT ${target} HTTP/1.1\r\n\r\n`);
  // In two pieces: heads do not always arrive whole.
  await conn.write(request.subarray(0, 9));
  await conn.write(request.subarray(9));
  const chunk = new Uint8Array(1024);
  const length = await conn.read(chunk) ?? 0;
  return { conn, first: new TextDecoder().decode(chunk.subarray(0, length)) };
}

Deno.test("Tunnel carries the viewer's own request on and tells who closed first", async () => {
  const dashboard = await startEcho();
  const closed = Promise.withResolvers<boolean>();
  await using tunnel = new Tunnel("ticket", dashboard.dial, {
    onOpen: (open) => assert.equal(open, 1),
    onClose: (_open, byDashboard) => closed.resolve(byDashboard),
  });
  const { conn, first } = await open(await tunnel.listen(), "ticket:5900");
  assert.equal(first, "got CONNECT ticket:5900 HTTP/1.1\r\n\r\n");
  for (const socket of dashboard.sockets) socket.destroy();
  assert.equal(await closed.promise, true);
  conn.close();
  await dashboard.close();
});

Deno.test("Tunnel knows when the viewer closed first", async () => {
  const dashboard = await startEcho();
  const closed = Promise.withResolvers<boolean>();
  await using tunnel = new Tunnel("ticket", dashboard.dial, {
    onOpen: () => {},
    onClose: (_open, byDashboard) => closed.resolve(byDashboard),
  });
  const { conn } = await open(await tunnel.listen(), "ticket:5900");
  conn.close();
  assert.equal(await closed.promise, false);
  await dashboard.close();
});

Deno.test("Tunnel refuses every other target without asking the dashboard", async () => {
  const dashboard = await startEcho();
  await using tunnel = new Tunnel("ticket", dashboard.dial, {
    onOpen: () => assert.fail("must not open"),
    onClose: () => {},
  });
  const { conn, first } = await open(await tunnel.listen(), "somewhere.else:22");
  assert.match(first, /^HTTP\/1\.1 403 /);
  assert.equal(dashboard.sockets.size, 0);
  conn.close();
  await dashboard.close();
});
