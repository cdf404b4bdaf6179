import http from "node:http";
import { z } from "zod";
import { type Agent, AgentEvent, AgentJob, DisplayTicket, Domain, Hello } from "../../contracts/agent.ts";
import { AppError, ErrorBody } from "../../contracts/errors.ts";
import { ImageFile } from "../../contracts/hypervisor.ts";
import { MachineDisk } from "../../contracts/machine.ts";
import { readLines } from "../../lib/process.ts";

/** An agent's API over its socket, every answer checked against the contract. */
export function socketAgent(socketPath: string): Agent {
  async function ask<S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    { body, signal }: { body?: unknown; signal?: AbortSignal } = {},
  ): Promise<z.output<S>> {
    const text = await readText(await send(socketPath, method, path, body, signal));
    return schema.parse(JSON.parse(text));
  }
  const get = async (path: string, signal?: AbortSignal) =>
    await send(socketPath, "GET", path, undefined, signal);
  return {
    hello: (signal) => ask(Hello, "GET", "/hello", { signal }),
    async *events(signal) {
      const response = await get("/events", signal);
      const stream = ReadableStream.from(response) as ReadableStream<Uint8Array>;
      for await (const line of readLines(stream)) yield AgentEvent.parse(JSON.parse(line));
    },
    xml: async (id, signal) => await readText(await get(`/domains/${id}/xml`, signal)),
    disks: (id, signal) => ask(z.array(MachineDisk), "GET", `/domains/${id}/disks`, { signal }),
    async screenshot(id, signal) {
      const response = await get(`/domains/${id}/screenshot`, signal);
      return new Uint8Array(
        await new Response(ReadableStream.from(response) as ReadableStream<Uint8Array>).arrayBuffer(),
      );
    },
    power: (id, body, signal) => ask(Domain, "POST", `/domains/${id}/power`, { body, signal }),
    edit: (id, body, signal) => ask(Domain, "PATCH", `/domains/${id}`, { body, signal }),
    ticket: (id, body, signal) => ask(DisplayTicket, "POST", `/domains/${id}/ticket`, { body, signal }),
    kick: async (id, signal) => void await ask(z.object({}), "POST", `/domains/${id}/kick`, { signal }),
    imageFiles: (signal) => ask(z.array(ImageFile), "GET", "/image-files", { signal }),
    startJob: (body, signal) => ask(AgentJob, "POST", "/jobs", { body, signal }),
    jobs: (signal) => ask(z.array(AgentJob), "GET", "/jobs", { signal }),
    cancelJob: async (id, signal) => void await ask(AgentJob, "DELETE", `/jobs/${id}`, { signal }),
  };
}

/** @throws {AppError} what the agent answered, when it is an error. */
function send(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const request = http.request({ socketPath, method, path, headers, signal, agent: false }, (response) => {
      if ((response.statusCode ?? 500) < 400) return resolve(response);
      readText(response).then((text) => {
        const { error } = ErrorBody.parse(JSON.parse(text));
        reject(new AppError(error.code, error.message, { details: error.details }));
      }).catch(reject);
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function readText(response: http.IncomingMessage): Promise<string> {
  return await new Response(ReadableStream.from(response) as ReadableStream<Uint8Array>).text();
}
