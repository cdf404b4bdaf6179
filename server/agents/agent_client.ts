/** An agent over its HTTP API, however its socket is reached. Paths are those of contracts/agent.ts. */
import { z } from "zod";
import {
  type Agent,
  AgentEvent,
  AgentJob,
  type AgentJobRequest,
  type BeginUpload,
  type DataDiskCommand,
  type DiskCommand,
  DisplayTicket,
  Domain,
  type EditCommand,
  type FileBytes,
  FinishedUpload,
  Hello,
  type PowerCommand,
  Receiving,
  type TicketCommand,
  UploadPart,
} from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { AgentSettings, ImageFile } from "../../contracts/hypervisor.ts";
import { MachineDisk } from "../../contracts/machine.ts";
import { DeletedFiles, FileIdentity, StoredFile } from "../../contracts/storage.ts";
import { type Call, HttpCalls, type OpenAnswer } from "./http_calls.ts";
import { readNdjson } from "./ndjson.ts";
import type { Transport } from "./transport.ts";

/** Reading what every file is takes its time on a slow disk. */
const storageTimeoutMs = 120_000;
/** Its checksum is made of all of it. */
const finishTimeoutMs = 3_600_000;

const get = (path: string, signal?: AbortSignal): Call => ({ method: "GET", path, signal });
const send = (method: Call["method"], path: string, body: unknown, signal?: AbortSignal): Call => ({
  method,
  path,
  body,
  signal,
});
const query = (values: Record<string, string | number>): string =>
  `?${new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)]))}`;

export class AgentClient implements Agent {
  readonly #calls: HttpCalls;

  constructor(private readonly transport: Transport) {
    this.#calls = new HttpCalls(transport);
  }

  /** Closes idle connections. */
  close(): void {
    this.transport.close();
  }

  hello(signal?: AbortSignal): Promise<Hello> {
    return this.#calls.json(Hello, get("/hello", signal));
  }

  async *events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    const { bytes } = await this.#calls.open({ ...get("/events"), signal });
    for await (const line of readNdjson(bytes)) yield this.#calls.parse(AgentEvent, line, "/events");
  }

  async xml(id: string, signal?: AbortSignal): Promise<string> {
    return (await this.#calls.bytes(get(`/domains/${id}/xml`, signal))).toString("utf8");
  }

  disks(id: string, signal?: AbortSignal): Promise<MachineDisk[]> {
    return this.#calls.json(z.array(MachineDisk), get(`/domains/${id}/disks`, signal));
  }

  async screenshot(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#calls.bytes(get(`/domains/${id}/screenshot`, signal)));
  }

  power(id: string, command: PowerCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#calls.json(Domain, send("POST", `/domains/${id}/power`, command, signal));
  }

  edit(id: string, command: EditCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#calls.json(Domain, send("PATCH", `/domains/${id}`, command, signal));
  }

  ticket(id: string, command: z.infer<typeof TicketCommand>, signal?: AbortSignal): Promise<DisplayTicket> {
    return this.#calls.json(DisplayTicket, send("POST", `/domains/${id}/ticket`, command, signal));
  }

  async kick(id: string, signal?: AbortSignal): Promise<void> {
    await this.#calls.bytes(send("POST", `/domains/${id}/kick`, {}, signal));
  }

  setDisk(id: string, command: z.infer<typeof DiskCommand>, signal?: AbortSignal): Promise<Domain> {
    return this.#calls.json(Domain, send("PUT", `/domains/${id}/disk`, command, signal));
  }

  setDataDisk(id: string, command: z.infer<typeof DataDiskCommand>, signal?: AbortSignal): Promise<Domain> {
    return this.#calls.json(Domain, send("PUT", `/domains/${id}/data-disk`, command, signal));
  }

  imageFiles(signal?: AbortSignal): Promise<ImageFile[]> {
    return this.#calls.json(z.array(ImageFile), get("/image-files", signal));
  }

  storage(signal?: AbortSignal): Promise<StoredFile[]> {
    return this.#calls.json(z.array(StoredFile), { ...get("/storage", signal), timeoutMs: storageTimeoutMs });
  }

  fileIdentity(path: string, signal?: AbortSignal): Promise<FileIdentity> {
    return this.#calls.json(FileIdentity, get(`/file-identity${query({ path })}`, signal));
  }

  deleteFiles(paths: string[], signal?: AbortSignal): Promise<z.infer<typeof DeletedFiles>> {
    return this.#calls.json(DeletedFiles, send("POST", "/files/delete", { paths }, signal));
  }

  async unseal(path: string, signal?: AbortSignal): Promise<void> {
    await this.#calls.bytes(send("POST", "/files/unseal", { path }, signal));
  }

  async readFile(path: string, from: number, signal: AbortSignal): Promise<FileBytes> {
    const headers = from > 0 ? { range: `bytes=${from}-` } : undefined;
    const answer = await this.#calls.open({ ...get(`/files/content${query({ path })}`), headers, signal });
    return { totalBytes: totalBytesOf(answer, from), bytes: answer.bytes };
  }

  async imageStream(path: string, from: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return (await this.#calls.open({ ...get(`/image-stream${query({ path, from })}`), signal })).bytes;
  }

  receiving(jobId: string, signal?: AbortSignal): Promise<Receiving> {
    return this.#calls.json(Receiving, get(`/transfers/${jobId}`, signal));
  }

  async sendStream(
    jobId: string,
    from: number,
    frames: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/transfers/${jobId}${query({ from })}`;
    await this.#calls.bytes({ method: "PUT", path, bytes: frames, signal, timeoutMs: null });
  }

  beginUpload(id: string, upload: z.infer<typeof BeginUpload>, signal?: AbortSignal): Promise<UploadPart> {
    return this.#calls.json(UploadPart, send("POST", `/uploads/${id}`, upload, signal));
  }

  upload(id: string, signal?: AbortSignal): Promise<UploadPart> {
    return this.#calls.json(UploadPart, get(`/uploads/${id}`, signal));
  }

  writeUpload(id: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<UploadPart> {
    return this.#calls.json(UploadPart, {
      method: "PUT",
      path: `/uploads/${id}${query({ offset })}`,
      bytes: inPieces(bytes),
      length: bytes.length,
      signal,
    });
  }

  finishUpload(id: string, sha256: string, signal?: AbortSignal): Promise<FinishedUpload> {
    const call = send("POST", `/uploads/${id}/finish`, { sha256 }, signal);
    return this.#calls.json(FinishedUpload, { ...call, timeoutMs: finishTimeoutMs });
  }

  async cancelUpload(id: string, signal?: AbortSignal): Promise<void> {
    await this.#calls.bytes({ method: "DELETE", path: `/uploads/${id}`, signal });
  }

  changeSettings(settings: Partial<AgentSettings>, signal?: AbortSignal): Promise<AgentSettings> {
    return this.#calls.json(AgentSettings, send("PATCH", "/settings", settings, signal));
  }

  async updateExecutable(
    { sha256, bytes, length }: { sha256: string; bytes: AsyncIterable<Uint8Array>; length: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/executable${query({ sha256 })}`;
    await this.#calls.bytes({ method: "PUT", path, bytes, length, signal, timeoutMs: finishTimeoutMs });
  }

  startJob(request: AgentJobRequest, signal?: AbortSignal): Promise<AgentJob> {
    return this.#calls.json(AgentJob, send("POST", "/jobs", request, signal));
  }

  jobs(signal?: AbortSignal): Promise<AgentJob[]> {
    return this.#calls.json(z.array(AgentJob), get("/jobs", signal));
  }

  async cancelJob(id: string, signal?: AbortSignal): Promise<void> {
    await this.#calls.bytes({ method: "DELETE", path: `/jobs/${id}`, signal });
  }
}

/** The whole file's length, of an answer with all or the rest of it. */
function totalBytesOf({ status, headers }: OpenAnswer, from: number): number {
  const total = status === 206
    ? /^bytes \d+-\d+\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1]
    : headers["content-length"];
  if (total === undefined || (status !== 206 && from > 0)) {
    throw new AppError("unavailable", "the agent does not say how long the file is; update the agent.");
  }
  return Number(total);
}

/** So that no more than a piece at a time is buffered below. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const pieceBytes = 256 * 1024;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield await Promise.resolve(bytes.subarray(at, at + pieceBytes));
  }
}
