import assert from "node:assert/strict";
import http from "node:http";
import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import { SocketAgent } from "./socket_agent.ts";

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const hello = { contract: 1, version: "0.1.0", commit: "x", hostname: "h", pid: 1, startedAt: 1 };
const json = (response: http.ServerResponse, value: unknown, status = 200) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};

/** An agent's socket that answers as told. */
class Server implements AsyncDisposable {
  readonly #server = http.createServer((request, response) => this.answer(request, response));
  readonly agent: SocketAgent;
  connections = 0;

  private constructor(readonly dir: string, public answer: Answer) {
    this.agent = new SocketAgent(join(dir, "agent.sock"));
    this.#server.on("connection", () => this.connections++);
  }

  static async start(answer: Answer): Promise<Server> {
    const server = new Server(await Deno.makeTempDir({ prefix: "kvm-vdi-test-" }), answer);
    await new Promise<void>((resolve) => server.#server.listen(join(server.dir, "agent.sock"), resolve));
    return server;
  }

  dropIdle(): void {
    this.#server.closeIdleConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("hello() uses one connection for many questions", async () => {
  await using server = await Server.start((_request, response) => json(response, hello));
  for (let times = 0; times < 5; times++) assert.deepEqual(await server.agent.hello(), hello);
  assert.equal(server.connections, 1);
});

Deno.test("hello() asks again when an idle connection was closed meanwhile", async () => {
  await using server = await Server.start((_request, response) => json(response, hello));
  await server.agent.hello();
  server.dropIdle();
  assert.deepEqual(await server.agent.hello(), hello);
});

Deno.test("a refusal arrives as the agent threw it", async () => {
  const details = [{ path: "vcpus", message: "too many" }];
  await using server = await Server.start((_request, response) =>
    json(response, { error: { code: "conflict", message: "It is running.", details, requestId: "1" } }, 409)
  );
  await assert.rejects(server.agent.edit("id", { vcpus: 2 }), (error: AppError) => {
    assert.deepEqual(error.info, { code: "conflict", message: "It is running.", details });
    return true;
  });
});

Deno.test("an answer that the contract does not allow is unavailable, not trusted", async () => {
  await using server = await Server.start((_request, response) => json(response, [{ id: 7 }]));
  await assert.rejects(server.agent.jobs(), { code: "unavailable", message: /not what its contract says/ });
});

Deno.test("an error that is not the agent's own is hypervisor_failed with its status", async () => {
  await using server = await Server.start((_request, response) => {
    response.writeHead(500);
    response.end("<html>");
  });
  await assert.rejects(server.agent.hello(), { code: "hypervisor_failed", message: /status 500/ });
});

Deno.test("a socket that is not there is told in words", async () => {
  const agent = new SocketAgent("/nonexistent/agent.sock");
  await assert.rejects(agent.hello(), {
    code: "unavailable",
    message: /there is no socket at .* Is kvm-vdi agent/,
  });
});

Deno.test("an aborted call ends with the caller's reason", async () => {
  await using server = await Server.start(() => {});
  const abort = new AbortController();
  const call = server.agent.power("id", { action: "start" }, abort.signal);
  abort.abort(new AppError("cancelled", "enough"));
  await assert.rejects(call, { code: "cancelled", message: "enough" });
});

Deno.test("events() yields lines as they come, in pieces or several at once, and ends with the connection", async () => {
  const beat = (at: number) => JSON.stringify({ type: "heartbeat", at });
  await using server = await Server.start((_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(`${beat(1)}\n${beat(2)}\n${beat(3).slice(0, 9)}`);
    setTimeout(() => response.end(`${beat(3).slice(9)}\n`), 5);
  });
  const seen = await Array.fromAsync(server.agent.events(new AbortController().signal));
  assert.deepEqual(seen.map((event) => event.type === "heartbeat" && event.at), [1, 2, 3]);
});

Deno.test("events() is unavailable after an event that the contract does not know", async () => {
  await using server = await Server.start((_request, response) => response.end(`{"type":"surprise"}\n`));
  const events = server.agent.events(new AbortController().signal);
  await assert.rejects(Array.fromAsync(events), { code: "unavailable" });
});

Deno.test("events() ends with the signal's reason while it waits", async () => {
  await using server = await Server.start((_request, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: "heartbeat", at: 1 })}\n`);
  });
  const abort = new AbortController();
  const events = server.agent.events(abort.signal)[Symbol.asyncIterator]();
  await events.next();
  const next = events.next();
  abort.abort(new Error("stop"));
  await assert.rejects(next, { message: "stop" });
});
