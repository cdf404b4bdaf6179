/**
 * What the runtime can do at best: a server that answers every request with the same bytes, by node:http alone or by
 * Hono on it as the dashboard uses it. Usage: reference_process.ts bare|hono BYTES. Prints its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";

const [kind, bytes] = Deno.args;
const text = "x".repeat(Number(bytes));
const headers = { "Content-Type": "application/json", "Content-Length": String(text.length) };

const hono = new Hono();
hono.all("*", (c) => c.body(text, 200, headers));

const server = kind === "hono"
  ? createServer(getRequestListener(hono.fetch, { overrideGlobalObjects: false }))
  : createServer((request, response) => {
    request.on("end", () => response.writeHead(200, headers).end(text)).resume();
  });
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
for await (const _ of Deno.stdin.readable) { /* ends with whoever started us */ }
Deno.exit(0);
