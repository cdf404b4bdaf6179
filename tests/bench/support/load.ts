/**
 * Sends HTTP requests as fast as they are answered, over kept-alive connections, with next to no work of its own: the
 * generator shares the processors with the server, and must not be what is measured.
 */

export interface Call {
  method: "GET" | "POST" | "DELETE";
  path: string;
  token?: string;
  body?: unknown;
}

export interface LoadResult {
  requests: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Status -> how many. */
  statuses: Record<number, number>;
}

export class HttpError extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function encode({ method, path, token, body }: Call): Uint8Array<ArrayBuffer> {
  const json = body === undefined ? "" : JSON.stringify(body);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    "Host: bench",
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(method === "GET" ? [] : [`Content-Length: ${encoder.encode(json).length}`]),
    ...(json === "" ? [] : ["Content-Type: application/json"]),
  ];
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${json}`);
}

/** One kept-alive connection; answers come with Content-Length, chunked, or without a body. */
export class Connection implements Disposable {
  #buffer = new Uint8Array(256 * 1024);
  #filled = 0;
  private constructor(private readonly socket: Deno.TcpConn) {}

  static async open(port: number): Promise<Connection> {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    socket.setNoDelay(true);
    return new Connection(socket);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }

  async call(call: Call): Promise<{ status: number; text: string }> {
    const { status, body } = await this.exchange(encode(call));
    return { status, text: decoder.decode(body) };
  }

  async exchange(request: Uint8Array): Promise<{ status: number; body: Uint8Array }> {
    for (let sent = 0; sent < request.length;) sent += await this.socket.write(request.subarray(sent));
    this.#filled = 0;
    for (;;) {
      const answer = parseAnswer(this.#buffer.subarray(0, this.#filled));
      if (answer) return answer;
      await this.#receive();
    }
  }

  async #receive(): Promise<void> {
    if (this.#filled === this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const length = await this.socket.read(this.#buffer.subarray(this.#filled));
    if (length === null) throw new HttpError("the server closed the connection");
    this.#filled += length;
  }
}

/** Null while it is not all there. */
function parseAnswer(bytes: Uint8Array): { status: number; body: Uint8Array } | null {
  const end = indexOfBlankLine(bytes);
  if (end < 0) return null;
  const head = decoder.decode(bytes.subarray(0, end)).toLowerCase();
  const status = Number(head.slice(9, 12));
  const body = bytes.subarray(end + 4);
  if (status === 204) return { status, body: body.subarray(0, 0) };
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    return body.length >= Number(length) ? { status, body: body.subarray(0, Number(length)) } : null;
  }
  if (!head.includes("transfer-encoding: chunked")) throw new HttpError(`an answer without length: ${head}`);
  const isWhole = body.length >= 5 && decoder.decode(body.subarray(-5)) === "0\r\n\r\n";
  return isWhole ? { status, body } : null;
}

function indexOfBlankLine(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0 && at + 3 < bytes.length; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

/** Answers every call once, `concurrency` at a time. */
export async function send(port: number, calls: readonly Call[], concurrency: number): Promise<LoadResult> {
  const requests = calls.map(encode);
  let next = 0;
  return await measure(port, concurrency, () => requests[next++]);
}

/** Repeats the calls, round robin, for a time. */
export async function repeat(
  port: number,
  calls: readonly Call[],
  concurrency: number,
  seconds: number,
): Promise<LoadResult> {
  const requests = calls.map(encode);
  const until = performance.now() + seconds * 1000;
  let next = 0;
  return await measure(
    port,
    concurrency,
    () => performance.now() < until ? requests[next++ % requests.length] : undefined,
  );
}

async function measure(
  port: number,
  concurrency: number,
  take: () => Uint8Array | undefined,
): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: concurrency }, () => Connection.open(port)));
  const timesMs: number[] = [];
  const statuses: Record<number, number> = {};
  const startedAt = performance.now();
  await Promise.all(connections.map(async (connection) => {
    using _ = connection;
    for (let request = take(); request; request = take()) {
      const sentAt = performance.now();
      const { status } = await connection.exchange(request);
      timesMs.push(performance.now() - sentAt);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  }));
  const seconds = (performance.now() - startedAt) / 1000;
  timesMs.sort((a, b) => a - b);
  const at = (share: number) =>
    timesMs[Math.min(timesMs.length - 1, Math.floor(timesMs.length * share))] ?? 0;
  return {
    requests: timesMs.length,
    perSecond: timesMs.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    statuses,
  };
}
