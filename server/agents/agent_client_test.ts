/** Streams to and from an agent: files, images, executables. The questions are in socket_agent_test.ts. */
import assert from "node:assert/strict";
import http from "node:http";
import { join } from "node:path";
import { SocketAgent } from "./socket_agent.ts";

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** An agent's socket that answers as told. */
class Server implements AsyncDisposable {
  readonly agent: SocketAgent;

  private constructor(readonly dir: string, readonly server: http.Server) {
    this.agent = new SocketAgent(join(dir, "agent.sock"));
  }

  static async start(answer: Answer): Promise<Server> {
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
    const server = http.createServer(answer);
    await new Promise<void>((resolve) => server.listen(join(dir, "agent.sock"), resolve));
    return new Server(dir, server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await Deno.remove(this.dir, { recursive: true });
  }
}

const never = () => new AbortController().signal;
const mib = 2 ** 20;

async function length(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let sum = 0;
  for await (const piece of bytes) sum += piece.length;
  return sum;
}

Deno.test("readFile() asks for the rest from an offset on and says how long the whole is", async () => {
  const ranges: (string | undefined)[] = [];
  await using server = await Server.start((request, response) => {
    ranges.push(request.headers.range);
    const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
    const head = { "content-length": 10 - from, "content-range": `bytes ${from}-9/10` };
    response.writeHead(from > 0 ? 206 : 200, head);
    response.end("0123456789".slice(from));
  });
  for (const from of [0, 4]) {
    const { totalBytes, bytes } = await server.agent.readFile("/iso/a b.iso", from, never());
    assert.deepEqual([totalBytes, await length(bytes)], [10, 10 - from]);
  }
  assert.deepEqual(ranges, [undefined, "bytes=4-"]);
});

Deno.test("readFile() fails when the connection breaks before the end", async () => {
  await using server = await Server.start((_request, response) => {
    response.writeHead(200, { "content-length": 2 * mib });
    response.write(new Uint8Array(mib), () => response.destroy());
  });
  const { bytes } = await server.agent.readFile("/iso/a.iso", 0, never());
  await assert.rejects(length(bytes), { code: "unavailable", message: /connection to its agent failed/ });
});

Deno.test("imageStream() stops its agent while nobody reads, and ends with the loop", async () => {
  let written = 0;
  const closed = Promise.withResolvers<void>();
  await using server = await Server.start((_request, response) => {
    response.on("close", () => closed.resolve());
    const push = () => {
      while (!response.destroyed && response.write(new Uint8Array(65_536))) written += 65_536;
      if (!response.destroyed) response.once("drain", push);
    };
    push();
  });
  for await (const _piece of await server.agent.imageStream("/a", 0, never())) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    break;
  }
  assert.ok(written < 16 * mib, `${written} bytes were written to somebody who does not read`);
  await closed.promise;
});

Deno.test("imageStream() ends with the signal's reason", async () => {
  await using server = await Server.start((_request, response) => void response.write("begin"));
  const abort = new AbortController();
  const read = length(await server.agent.imageStream("/a", 0, abort.signal));
  abort.abort(new Error("enough"));
  await assert.rejects(read, { message: "enough" });
});

Deno.test("sendStream() gives no more than its agent takes", async () => {
  const taken = Promise.withResolvers<http.IncomingMessage>();
  await using server = await Server.start((request, response) => {
    request.pause();
    taken.resolve(request);
    request.on("end", () => response.end("{}"));
  });
  let given = 0;
  const frames = async function* () {
    for (; given < 64 * mib; given += 65_536) yield await Promise.resolve(new Uint8Array(65_536));
  };
  const sent = server.agent.sendStream("job", 0, frames(), never());
  const request = await taken.promise;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(given < 16 * mib, `${given} bytes were given to an agent that does not read`);
  let received = 0;
  request.on("data", (piece: Uint8Array) => received += piece.length).resume();
  await sent;
  assert.equal(received, 64 * mib);
});

Deno.test("sendStream() passes on what is wrong with its source", async () => {
  await using server = await Server.start((request) => void request.resume());
  const broken = async function* () {
    yield await Promise.resolve(new Uint8Array(10));
    throw new Error("the other agent is gone");
  };
  await assert.rejects(server.agent.sendStream("job", 0, broken(), never()), (error: Error) => {
    assert.match(`${error.message} ${error.cause}`, /the other agent is gone/);
    return true;
  });
});

Deno.test("sendStream() passes on the refusal of an agent that takes nothing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
  const path = join(dir, "agent.sock");
  const error = { code: "conflict", message: "It begins at 7.", requestId: "1" };
  // As the agent itself: it answers before it has read anything, and closes.
  await using _server = Deno.serve(
    { path, onListen: () => {} },
    () => Response.json({ error }, { status: 409 }),
  );
  const many = async function* () {
    for (let at = 0; at < 1000; at++) yield await Promise.resolve(new Uint8Array(65_536));
  };
  await assert.rejects(new SocketAgent(path).sendStream("job", 0, many(), never()), {
    code: "conflict",
    message: "It begins at 7.",
  });
  await Deno.remove(dir, { recursive: true });
});

Deno.test("writeUpload() sends a piece whole, at its offset", async () => {
  await using server = await Server.start((request, response) => {
    let bytes = 0;
    request.on("data", (piece: Uint8Array) => bytes += piece.length);
    request.on("end", () => {
      assert.equal(request.url, "/uploads/u1?offset=5");
      assert.equal(request.headers["content-length"], String(bytes));
      response.end(JSON.stringify({ receivedBytes: 5 + bytes, bytes: 9 * mib }));
    });
  });
  assert.deepEqual(await server.agent.writeUpload("u1", 5, new Uint8Array(8 * mib)), {
    receivedBytes: 5 + 8 * mib,
    bytes: 9 * mib,
  });
});
