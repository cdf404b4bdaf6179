/** An agent over its unix socket, on this host. Every answer is checked against the contract. */
import http from "node:http";
import { Buffer } from "node:buffer";
import { z } from "zod";
import {
  type Agent,
  AgentEvent,
  AgentJob,
  type AgentJobRequest,
  DisplayTicket,
  Domain,
  type EditCommand,
  Hello,
  type PowerCommand,
  type TicketCommand,
} from "../../contracts/agent.ts";
import { AppError, ErrorBody } from "../../contracts/errors.ts";
import { ImageFile } from "../../contracts/hypervisor.ts";
import { MachineDisk } from "../../contracts/machine.ts";
import { readNdjson } from "./ndjson.ts";
import { AgentUnreachable } from "./unreachable.ts";

/** Anything an agent answers at once is smaller; its events have their own limit. */
const answerLimitBytes = 64 * 1024 * 1024;
const timeoutsMs = { ask: 15_000, act: 60_000 } as const;

interface Request {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export class SocketAgent implements Agent {
  /** Only for questions: a question that met a connection just closed can be asked again, an action cannot. */
  #connections = new http.Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 4 });

  constructor(private readonly socketPath: string) {}

  hello(signal?: AbortSignal): Promise<Hello> {
    return this.#json(Hello, { method: "GET", path: "/hello", signal });
  }

  async *events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    const response = await this.#send({ method: "GET", path: "/events", signal }, false);
    try {
      if (response.statusCode !== 200) throw errorOf(response, await readAll(response));
      for await (const line of readNdjson(response)) yield this.#parse(AgentEvent, line, "/events");
    } catch (error) {
      throw this.#translate(error, signal);
    } finally {
      response.destroy();
    }
  }

  async xml(id: string, signal?: AbortSignal): Promise<string> {
    return (await this.#bytes({ method: "GET", path: `/domains/${id}/xml`, signal })).toString("utf8");
  }

  disks(id: string, signal?: AbortSignal): Promise<MachineDisk[]> {
    return this.#json(z.array(MachineDisk), { method: "GET", path: `/domains/${id}/disks`, signal });
  }

  async screenshot(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#bytes({ method: "GET", path: `/domains/${id}/screenshot`, signal }));
  }

  power(id: string, command: PowerCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#json(Domain, { method: "POST", path: `/domains/${id}/power`, body: command, signal });
  }

  edit(id: string, command: EditCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#json(Domain, { method: "PATCH", path: `/domains/${id}`, body: command, signal });
  }

  ticket(id: string, command: z.infer<typeof TicketCommand>, signal?: AbortSignal): Promise<DisplayTicket> {
    return this.#json(DisplayTicket, {
      method: "POST",
      path: `/domains/${id}/ticket`,
      body: command,
      signal,
    });
  }

  async kick(id: string, signal?: AbortSignal): Promise<void> {
    await this.#bytes({ method: "POST", path: `/domains/${id}/kick`, body: {}, signal });
  }

  imageFiles(signal?: AbortSignal): Promise<ImageFile[]> {
    return this.#json(z.array(ImageFile), { method: "GET", path: "/image-files", signal });
  }

  startJob(request: AgentJobRequest, signal?: AbortSignal): Promise<AgentJob> {
    return this.#json(AgentJob, { method: "POST", path: "/jobs", body: request, signal });
  }

  jobs(signal?: AbortSignal): Promise<AgentJob[]> {
    return this.#json(z.array(AgentJob), { method: "GET", path: "/jobs", signal });
  }

  async cancelJob(id: string, signal?: AbortSignal): Promise<void> {
    await this.#bytes({ method: "DELETE", path: `/jobs/${id}`, signal });
  }

  /** Closes idle connections. */
  close(): void {
    this.#connections.destroy();
  }

  async #json<T extends z.ZodType>(schema: T, request: Request): Promise<z.output<T>> {
    return this.#parse(schema, (await this.#bytes(request)).toString("utf8"), request.path);
  }

  #parse<T extends z.ZodType>(schema: T, text: string, path: string): z.output<T> {
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      const message =
        `the agent's answer to ${path} is not what its contract says; update the older of the two.`;
      throw new AppError("unavailable", message, { cause: error });
    }
  }

  async #bytes(request: Request): Promise<Buffer> {
    const timeout = AbortSignal.timeout(
      request.timeoutMs ?? (request.method === "GET" ? timeoutsMs.ask : timeoutsMs.act),
    );
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
    try {
      const response = await this.#send({ ...request, signal }, request.method === "GET");
      const body = await readAll(response);
      if ((response.statusCode ?? 500) >= 400) throw errorOf(response, body);
      return body;
    } catch (error) {
      if (timeout.aborted) {
        throw new AgentUnreachable(`the agent did not answer ${request.path} in time.`, error);
      }
      throw this.#translate(error, request.signal);
    }
  }

  async #send(request: Request, keepAlive: boolean): Promise<http.IncomingMessage> {
    try {
      return await this.#sendOnce(request, keepAlive);
    } catch (error) {
      if (!keepAlive || !(error instanceof StaleConnection)) throw error;
      return await this.#sendOnce(request, false);
    }
  }

  #sendOnce({ method, path, body, signal }: Request, keepAlive: boolean): Promise<http.IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = http.request({
        socketPath: this.socketPath,
        method,
        path,
        agent: keepAlive ? this.#connections : false,
        headers: {
          host: "agent",
          ...(text !== undefined &&
            { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
        signal,
      });
      request.on("response", resolve);
      request.on("error", (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && ["ECONNRESET", "EPIPE"].includes(error.code ?? "");
        reject(stale ? new StaleConnection(error) : error);
      });
      request.end(text);
    });
  }

  /** What happened on the way becomes words; what the agent said, and who gave up, stays. */
  #translate(error: unknown, signal: AbortSignal | undefined): unknown {
    if (error instanceof AppError) return error;
    if (signal?.aborted) return signal.reason;
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: `there is no socket at ${this.socketPath}. Is kvm-vdi agent running?`,
      ECONNREFUSED: `nobody listens on ${this.socketPath}. Start kvm-vdi agent.`,
      EACCES: `this process may not open ${this.socketPath}. It must be in the socket's group, kvm-vdi.`,
    };
    return new AgentUnreachable(
      reasons[code ?? ""] ?? `the connection to its agent failed (${code ?? message}).`,
      error,
    );
  }
}

class StaleConnection extends Error {
  constructor(cause: unknown) {
    super("an idle connection was closed by the agent", { cause });
  }
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
