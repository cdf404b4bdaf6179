/** HTTP to an agent: answers are checked against the contract, and what goes wrong is told in words. */
import http from "node:http";
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import type { z } from "zod";
import { AppError, ErrorBody } from "../../contracts/errors.ts";
import type { Transport } from "./transport.ts";
import { AgentUnreachable } from "./unreachable.ts";

/** Anything an agent answers at once is smaller; streams have no limit. */
const answerLimitBytes = 64 * 1024 * 1024;
const timeoutsMs = { ask: 15_000, act: 60_000 } as const;

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as they are, instead of `body`; `length` in bytes where it is known. */
  bytes?: AsyncIterable<Uint8Array>;
  length?: number;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Default: 15 s for questions, 60 s for actions; null: as long as it takes. */
  timeoutMs?: number | null;
}

export class HttpCalls {
  constructor(private readonly transport: Transport) {}

  async json<T extends z.ZodType>(schema: T, call: Call): Promise<z.output<T>> {
    return this.parse(schema, (await this.bytes(call)).toString("utf8"), call.path);
  }

  parse<T extends z.ZodType>(schema: T, text: string, path: string): z.output<T> {
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      const message =
        `the agent's answer to ${path} is not what its contract says; update the older of the two.`;
      throw new AppError("unavailable", message, { cause: error });
    }
  }

  /** The whole answer. */
  async bytes(call: Call): Promise<Buffer> {
    const limitMs = call.timeoutMs ?? (call.method === "GET" ? timeoutsMs.ask : timeoutsMs.act);
    const timeout = call.timeoutMs === null ? null : AbortSignal.timeout(limitMs);
    const signals = [call.signal, timeout].filter((signal) => signal != null);
    try {
      const response = await this.#send({ ...call, signal: AbortSignal.any(signals) });
      const body = await readAll(response);
      if (isRefusal(response)) throw errorOf(response, body);
      return body;
    } catch (error) {
      if (timeout?.aborted) {
        throw new AgentUnreachable(`the agent did not answer ${call.path} in time.`, error);
      }
      throw this.#translate(error, call.signal);
    }
  }

  /**
   * An answer as a stream, on a connection of its own, once its head is there. It is read at the reader's speed; leaving
   * the loop or aborting the signal ends it, and a connection that breaks is an error.
   */
  async open(call: Call & { signal: AbortSignal }): Promise<OpenAnswer> {
    try {
      const response = await this.#sendOnce(call, false);
      if (isRefusal(response)) throw errorOf(response, await readAll(response));
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        bytes: this.#read(response, call.signal),
      };
    } catch (error) {
      throw this.#translate(error, call.signal);
    }
  }

  async *#read(response: http.IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* response as AsyncIterable<Uint8Array>;
      if (!response.complete) throw new Error("it ended in the middle");
    } catch (error) {
      throw this.#translate(error, signal);
    } finally {
      response.destroy();
    }
  }

  async #send(call: Call): Promise<http.IncomingMessage> {
    // Only for questions: one that met a connection just closed can be asked again, an action cannot.
    const reuse = call.method === "GET";
    try {
      return await this.#sendOnce(call, reuse);
    } catch (error) {
      if (!reuse || !(error instanceof StaleConnection)) throw error;
      return await this.#sendOnce(call, false);
    }
  }

  #sendOnce(call: Call, reuse: boolean): Promise<http.IncomingMessage> {
    const text = call.body === undefined ? undefined : JSON.stringify(call.body);
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const request = http.request({
      ...this.transport.route(reuse),
      method: call.method,
      path: call.path,
      headers: { host: "agent", ...headersOf(call, text), ...call.headers },
      signal: call.signal,
    });
    request.on("response", resolve);
    request.on("error", (error: NodeJS.ErrnoException) => {
      const stale = request.reusedSocket && ["ECONNRESET", "EPIPE"].includes(error.code ?? "");
      reject(stale ? new StaleConnection(error) : error);
    });
    if (!call.bytes) {
      request.end(text);
      return promise;
    }
    // An agent that refuses may answer before it has taken everything; otherwise a broken source is the reason.
    pipeline(Readable.from(call.bytes, { objectMode: false }), request).catch(reject);
    return promise;
  }

  /** What happened on the way becomes words; what the agent said, and who gave up, stays. */
  #translate(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof AppError) return error;
    return new AgentUnreachable(this.transport.explain(error as NodeJS.ErrnoException), error);
  }
}

export interface OpenAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  bytes: AsyncIterable<Uint8Array>;
}

class StaleConnection extends Error {
  constructor(cause: unknown) {
    super("an idle connection was closed by the agent", { cause });
  }
}

const isRefusal = ({ statusCode }: http.IncomingMessage) => (statusCode ?? 500) >= 400;

function headersOf({ bytes, length }: Call, text: string | undefined): Record<string, string | number> {
  if (text !== undefined) {
    return { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  }
  if (!bytes) return {};
  return {
    "content-type": "application/octet-stream",
    ...(length === undefined ? { "transfer-encoding": "chunked" } : { "content-length": length }),
  };
}

async function readAll(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerLimitBytes) {
      throw new AppError("hypervisor_failed", "The agent's answer is far too long.");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The agent's refusal as it was thrown there. */
function errorOf(response: http.IncomingMessage, body: Buffer): AppError {
  try {
    const { error } = ErrorBody.parse(JSON.parse(body.toString("utf8")));
    return new AppError(error.code, error.message, { details: error.details });
  } catch (cause) {
    return new AppError("hypervisor_failed", `The agent answered with status ${response.statusCode}.`, {
      cause,
    });
  }
}
