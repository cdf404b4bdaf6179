/**
 * A hypervisor in memory: the agent's contract without libvirt. It refuses what the real agent refuses, and can be slowed,
 * made to fail, held and taken offline by tests. The contract suite (agent_contract.ts) passes on it.
 *
 *     const agent = new FakeAgent({ bootMs: 5 });
 *     agent.hold("copy-disk");             // jobs of this kind wait, running, until release()
 *     agent.failNext("power", new AppError("hypervisor_failed", "no"));
 *     agent.goOffline(); agent.comeBack(); // streams end, calls fail; jobs and domains go on
 *     agent.restart();                     // as a restarted agent: open jobs are interrupted and undone
 */
import { createHash } from "node:crypto";
import {
  type Agent,
  agentContract,
  type AgentEvent,
  type AgentJob,
  type AgentJobRequest,
  AgentJobRequest as JobRequestSchema,
  BeginUpload,
  type DataDiskCommand,
  type DiskCommand,
  type DisplayTicket,
  type Domain,
  EditCommand,
  type FileBytes,
  type FinishedUpload,
  type Hello,
  type LibvirtStatus,
  PowerCommand,
  type Receiving,
  type TicketCommand,
  type UploadPart,
} from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { AgentSettings, HostFacts, HostLoad, ImageFile } from "../../contracts/hypervisor.ts";
import type { MachineDisk } from "../../contracts/machine.ts";
import type { DeletedFiles, FileIdentity, StoredFile } from "../../contracts/storage.ts";
import { AgentUnreachable } from "../../server/agents/unreachable.ts";
import type { z } from "zod";
import { chainsOf, fakeDisk, fakeDomain, fakeFacts, fakeLoad, firstDisk, tinyPng } from "./fake_domain.ts";
import { FakeFiles, headerOf } from "./fake_files.ts";
import { FakeJobs, type HeldKind } from "./fake_jobs.ts";
import { requireOff } from "./fake_operations.ts";
import { FakePower, isUp } from "./fake_power.ts";
import { FakeUploads } from "./fake_uploads.ts";
import { EventQueue } from "./event_queue.ts";

export interface FakeAgentOptions {
  /** Before every answer. */
  latencyMs?: number;
  /** From start until the guest agent answers; null: the guest has none. */
  bootMs?: number | null;
  /** From being asked until the guest is off; null: it ignores the request, as one without an OS does. */
  shutdownMs?: number | null;
  /** How long a copy or import takes, in ten steps of progress. */
  copyMs?: number;
  /** How long each machine of a populate takes. */
  populateMs?: number;
  heartbeatMs?: number;
  imageFiles?: ImageFile[];
  /** Shared storage: the files of that agent are this one's too. */
  sharesFilesWith?: FakeAgent | null;
  /** Whether send-image gets through to other hypervisors; else only a relay does. */
  reachesOthers?: boolean;
  /** What `hello` says after its executable was replaced. */
  updatedHello?: Partial<Hello>;
}

export type Method = Exclude<keyof Agent, "events">;

const defaults = {
  latencyMs: 0,
  bootMs: 0,
  shutdownMs: 0,
  copyMs: 0,
  populateMs: 0,
  heartbeatMs: 5000,
  imageFiles: [] as ImageFile[],
  sharesFilesWith: null,
  reachesOthers: true,
  updatedHello: {},
} satisfies Required<FakeAgentOptions>;

export class FakeAgent implements Agent, AsyncDisposable {
  readonly options: Required<FakeAgentOptions>;
  readonly domains = new Map<string, Domain>();
  /** Its image files; those that the disks of `addDomain` name are made along. */
  readonly files: FakeFiles;
  /** The checksum of the executable that it was given last. */
  executableSha256: string | null = null;
  /** Every call that was made, in order. */
  readonly calls: { method: Method; id: string | null }[] = [];
  facts: HostFacts = fakeFacts();
  load: HostLoad = fakeLoad(0);
  libvirt: LibvirtStatus = { connected: true, since: 0, reason: null };
  helloValues: Partial<Hello> = {};
  readonly #jobs: FakeJobs;
  readonly #streams = new Set<EventQueue<AgentEvent>>();
  readonly #failures = new Map<Method, unknown[]>();
  readonly #timers = new Map<ReturnType<typeof setTimeout>, () => void>();
  readonly #power = new FakePower(this);
  readonly #uploads = new FakeUploads(this);
  #offline = false;
  #frozen = false;

  constructor(options: FakeAgentOptions = {}) {
    this.options = { ...defaults, ...options };
    this.files = new FakeFiles(this.domains, options.sharesFilesWith?.files.all);
    this.#jobs = new FakeJobs(this, (job) => this.emit({ type: "job", job }));
  }

  // What tests do to it.

  /** Adds a domain, shut off unless told otherwise; a name is made up. */
  addDomain(values: Partial<Domain> = {}): Domain {
    const id = values.id ?? crypto.randomUUID();
    const domain = fakeDomain({ name: `domain-${this.domains.size + 1}`, ...values, id });
    this.#makeFiles(domain);
    this.#put(domain);
    return domain;
  }

  /** A disk without a size stands for one that was not made yet. */
  #makeFiles({ disks }: Domain): void {
    for (const { path, virtualBytes, backingPath } of disks) {
      if (path === null || virtualBytes === null) continue;
      if (backingPath !== null && !this.files.has(backingPath)) this.files.create(backingPath, virtualBytes);
      if (!this.files.has(path)) this.files.create(path, virtualBytes, backingPath);
    }
  }

  /** Takes a domain away, as `virsh undefine` by somebody else does. */
  removeDomain(id: string): void {
    if (this.domains.delete(id)) this.emit({ type: "domain-removed", id });
  }

  /** Changes a domain and tells it, as when somebody else or the guest does. */
  change(id: string, values: Partial<Domain>): Domain {
    const before = this.#require(id);
    const domain = { ...before, ...values };
    const known = before.disks.map(({ path }) => path);
    this.#makeFiles({ ...domain, disks: domain.disks.filter(({ path }) => !known.includes(path)) });
    this.#put(domain);
    return domain;
  }

  /** Gives a domain another first disk; its other disks stay. */
  setFirstDisk(id: string, disk: Domain["disks"][number], values: Partial<Domain> = {}): Domain {
    const domain = this.#require(id);
    const first = firstDisk(domain);
    const disks = [disk, ...domain.disks.filter((other) => other !== first)];
    return this.change(id, { ...values, disks });
  }

  /** Sends an event to whoever listens. */
  emit(event: AgentEvent): void {
    if (this.#frozen) return;
    for (const stream of this.#streams) stream.push(structuredClone(event));
  }

  /** The next call of the method fails so; calling this again queues another failure. */
  failNext(method: Method, error: unknown): void {
    this.#failures.set(method, [...this.#failures.get(method) ?? [], error]);
  }

  /** Forgets failures of the method that have not happened. */
  failNever(method: Method): void {
    this.#failures.delete(method);
  }

  /** Jobs of this kind start and then wait until `release`. */
  hold(kind: HeldKind): void {
    this.#jobs.hold(kind);
  }

  release(kind: HeldKind): void {
    this.#jobs.release(kind);
  }

  /** Populate fails for this machine, with these words. */
  failPopulate(machineId: string, message: string): void {
    this.#jobs.failPopulate(machineId, message);
  }

  /** The connection is gone: streams end, calls fail. What the hypervisor does goes on. */
  goOffline(): void {
    this.#offline = true;
    for (const stream of this.#streams) stream.end();
  }

  comeBack(): void {
    this.#offline = false;
  }

  /** Says nothing more, without closing the connection. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
  }

  /** As after a restart of the agent's process: open jobs are interrupted and undone, machines run on. */
  restart(): void {
    this.goOffline();
    this.#jobs.interruptAll();
    this.comeBack();
  }

  /** Loses libvirt, or finds it again. */
  setLibvirt(connected: boolean): void {
    const reason = connected ? null : "libvirtd does not answer. Start it again.";
    this.libvirt = { connected, since: Date.now(), reason };
    this.emit({ type: "libvirt", libvirt: this.libvirt });
    if (connected) this.emit({ type: "domains", domains: [...this.domains.values()] });
  }

  /** Sends load of the host and of every running domain. */
  sendLoad(cpuPercent = 20): void {
    this.load = { ...this.load, at: Date.now(), cpuPercent };
    const running = [...this.domains.values()].filter(({ state }) => state === "running");
    this.emit({
      type: "load",
      load: this.load,
      domains: running.map(({ id, memoryMiB }) => ({
        id,
        cpuPercent,
        memoryUsedMiB: Math.floor(memoryMiB / 2),
      })),
    });
  }

  /** How many event streams are open. */
  get listenerCount(): number {
    return this.#streams.size;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.goOffline();
    this.#jobs.close();
    for (const [timer, atClose] of this.#timers) {
      clearTimeout(timer);
      atClose();
    }
    this.#timers.clear();
    return Promise.resolve();
  }

  // The contract.

  hello(signal?: AbortSignal): Promise<Hello> {
    return this.#answer("hello", null, signal, () => this.#hello());
  }

  #hello(): Hello {
    return {
      contract: agentContract,
      version: "0.1.0",
      commit: "fake",
      hostname: this.facts.hostname,
      pid: 1,
      startedAt: 0,
      ...this.helloValues,
    };
  }

  async *events(signal: AbortSignal): AsyncIterable<AgentEvent> {
    this.#requireOnline();
    const stream = new EventQueue<AgentEvent>(signal);
    this.#streams.add(stream);
    const heartbeat = setInterval(() => {
      if (!this.#frozen) stream.push({ type: "heartbeat", at: Date.now() });
    }, this.options.heartbeatMs);
    try {
      yield this.#snapshot();
      yield* stream;
    } finally {
      clearInterval(heartbeat);
      this.#streams.delete(stream);
    }
  }

  #snapshot(): AgentEvent {
    return structuredClone({
      type: "snapshot",
      hello: this.#hello(),
      libvirt: this.libvirt,
      facts: this.facts,
      load: this.load,
      domains: this.libvirt.connected ? [...this.domains.values()] : [],
      jobs: this.#jobs.list(),
    });
  }

  xml(id: string, signal?: AbortSignal): Promise<string> {
    return this.#answer(
      "xml",
      id,
      signal,
      () => `<domain><name>${this.#require(id).name}</name><uuid>${id}</uuid></domain>`,
    );
  }

  disks(id: string, signal?: AbortSignal): Promise<MachineDisk[]> {
    return this.#answer("disks", id, signal, () => chainsOf(this.#require(id)));
  }

  screenshot(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return this.#answer("screenshot", id, signal, () => {
      this.#requireOn(id, "Take a screenshot of");
      return tinyPng();
    });
  }

  power(id: string, command: PowerCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#answer("power", id, signal, () => {
      const domain = this.#requireManaged(id);
      this.#jobs.requireFree(id);
      return this.#power.run(domain, PowerCommand.parse(command));
    });
  }

  edit(id: string, command: EditCommand, signal?: AbortSignal): Promise<Domain> {
    return this.#answer("edit", id, signal, () => {
      const domain = this.#requireManaged(id);
      this.#jobs.requireFree(id);
      const edit = EditCommand.parse(command);
      const { iso, ...rest } = edit;
      if (iso && !this.hasFile(iso)) {
        throw new AppError("invalid", `Attach the ISO image: there is no file ${iso} on the hypervisor.`);
      }
      const blocked = Object.entries(rest).filter(([key, value]) => value !== domain[key as keyof Domain]);
      if (isUp(domain) && blocked.length > 0) {
        const what = blocked.map(([key]) => key).join(", ");
        throw new AppError(
          "conflict",
          `Change ${what} of ${domain.name}: it is ${domain.state}. Shut it down first.`,
        );
      }
      return this.change(id, edit);
    });
  }

  ticket(
    id: string,
    { ttlSeconds }: z.infer<typeof TicketCommand>,
    signal?: AbortSignal,
  ): Promise<DisplayTicket> {
    return this.#answer("ticket", id, signal, () => {
      this.#requireOn(id, "Open the display of");
      const password = crypto.randomUUID().replaceAll("-", "");
      const expiresAt = Date.now() + ttlSeconds * 1000;
      return { protocol: "spice", host: "127.0.0.1", port: 5900, password, expiresAt };
    });
  }

  kick(id: string, signal?: AbortSignal): Promise<void> {
    return this.#answer("kick", id, signal, () => {
      if (this.#require(id).viewers.length > 0) this.change(id, { viewers: [] });
    });
  }

  imageFiles(signal?: AbortSignal): Promise<ImageFile[]> {
    return this.#answer("imageFiles", null, signal, () => {
      const known = new Set(this.options.imageFiles.map(({ path }) => path));
      const usable = this.files.storage().filter(({ path, kind }) =>
        !known.has(path) && (kind === "iso" || kind === "import")
      );
      return [
        ...this.options.imageFiles,
        ...usable.map(({ path, kind, format, allocatedBytes, virtualBytes }) => ({
          path,
          name: path.split("/").at(-1)!,
          kind: kind === "iso" ? "iso" as const : "disk" as const,
          format,
          bytes: allocatedBytes,
          virtualBytes,
        })),
      ];
    });
  }

  setDisk(id: string, command: z.infer<typeof DiskCommand>, signal?: AbortSignal): Promise<Domain> {
    return this.#answer("setDisk", id, signal, () => {
      const domain = this.#requireManaged(id);
      this.#jobs.requireFree(id);
      requireOff(domain, "Change the disk");
      const { virtualBytes, backingPath } = headerOf(this.files.require(command.path));
      this.files.requireWhole(command.path, "Change the disk");
      return this.setFirstDisk(id, fakeDisk(command.path, virtualBytes, backingPath));
    });
  }

  setDataDisk(id: string, { path }: z.infer<typeof DataDiskCommand>, signal?: AbortSignal): Promise<Domain> {
    return this.#answer("setDataDisk", id, signal, () => {
      const domain = this.#requireManaged(id);
      this.#jobs.requireFree(id);
      const others = domain.disks.filter((disk) => disk.path?.endsWith(".data.qcow2") !== true);
      if (path === null) return this.change(id, { disks: others });
      const { virtualBytes } = headerOf(this.files.require(path));
      const user = this.files.usersOf(path).find((other) => other.id !== id);
      if (user) {
        throw new AppError(
          "conflict",
          `Attach the data disk: it is attached to ${user.name}. Detach it first.`,
        );
      }
      return this.change(id, { disks: [...others, { ...fakeDisk(path, virtualBytes), target: "vdb" }] });
    });
  }

  storage(signal?: AbortSignal): Promise<StoredFile[]> {
    return this.#answer("storage", null, signal, () => this.files.storage());
  }

  fileIdentity(path: string, signal?: AbortSignal): Promise<FileIdentity> {
    return this.#answer("fileIdentity", path, signal, () => this.files.identity(path));
  }

  deleteFiles(paths: string[], signal?: AbortSignal): Promise<z.infer<typeof DeletedFiles>> {
    return this.#answer("deleteFiles", null, signal, () => ({
      items: paths.map((path) => {
        if (!this.files.has(path)) return { path, deleted: false, message: "there is no such file" };
        if (this.files.isUsed(path)) return { path, deleted: false, message: "it is in use" };
        this.files.all.delete(path);
        return { path, deleted: true, message: null };
      }),
    }));
  }

  unseal(path: string, signal?: AbortSignal): Promise<void> {
    return this.#answer("unseal", path, signal, () => this.#jobs.transfers.unseal(path));
  }

  async readFile(path: string, from: number, signal: AbortSignal): Promise<FileBytes> {
    const content = await this.#answer("readFile", path, signal, () => this.files.require(path).content);
    const pieces = async function* () {
      for (let at = from; at < content.length; at += 64) yield content.subarray(at, at + 64);
    };
    return { totalBytes: content.length, bytes: pieces() };
  }

  async imageStream(path: string, from: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    await this.#answer("imageStream", path, signal, () => void this.files.require(path));
    return this.#whileOnline(this.#jobs.transfers.stream(path, from), signal);
  }

  receiving(jobId: string, signal?: AbortSignal): Promise<Receiving> {
    return this.#answer("receiving", jobId, signal, () => this.#jobs.transfers.receiving(jobId));
  }

  async sendStream(
    jobId: string,
    from: number,
    frames: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#answer("sendStream", jobId, signal, () => void this.#jobs.transfers.receiving(jobId));
    await this.#jobs.transfers.take(jobId, from, this.#whileOnline(frames, signal));
  }

  beginUpload(id: string, upload: z.infer<typeof BeginUpload>, signal?: AbortSignal): Promise<UploadPart> {
    return this.#answer("beginUpload", id, signal, () => this.#uploads.begin(id, BeginUpload.parse(upload)));
  }

  upload(id: string, signal?: AbortSignal): Promise<UploadPart> {
    return this.#answer("upload", id, signal, () => this.#uploads.part(id));
  }

  writeUpload(id: string, offset: number, bytes: Uint8Array, signal?: AbortSignal): Promise<UploadPart> {
    return this.#answer("writeUpload", id, signal, () => this.#uploads.write(id, offset, bytes));
  }

  finishUpload(id: string, sha256: string, signal?: AbortSignal): Promise<FinishedUpload> {
    return this.#answer("finishUpload", id, signal, () => this.#uploads.finish(id, sha256));
  }

  cancelUpload(id: string, signal?: AbortSignal): Promise<void> {
    return this.#answer("cancelUpload", id, signal, () => this.#uploads.cancel(id));
  }

  changeSettings(settings: Partial<AgentSettings>, signal?: AbortSignal): Promise<AgentSettings> {
    return this.#answer("changeSettings", null, signal, () => {
      this.facts = { ...this.facts, settings: { ...this.facts.settings, ...settings } };
      this.emit({ type: "facts", facts: this.facts });
      return this.facts.settings;
    });
  }

  /** Restarts as the new executable, which says `updatedHello`. */
  async updateExecutable(
    { sha256, bytes }: Parameters<Agent["updateExecutable"]>[0],
    signal?: AbortSignal,
  ): Promise<void> {
    const hash = createHash("sha256");
    for await (const piece of bytes) hash.update(piece);
    await this.#answer("updateExecutable", null, signal, () => {
      if (hash.digest("hex") !== sha256) {
        throw new AppError("invalid", "Update the agent: the executable's checksum is not right.");
      }
      this.executableSha256 = sha256;
      this.helloValues = { ...this.helloValues, ...this.options.updatedHello };
    });
    this.restart();
  }

  startJob(request: AgentJobRequest, signal?: AbortSignal): Promise<AgentJob> {
    return this.#answer(
      "startJob",
      request.id,
      signal,
      () => this.#jobs.start(JobRequestSchema.parse(request)),
    );
  }

  jobs(signal?: AbortSignal): Promise<AgentJob[]> {
    return this.#answer("jobs", null, signal, () => this.#jobs.list());
  }

  cancelJob(id: string, signal?: AbortSignal): Promise<void> {
    return this.#answer("cancelJob", id, signal, () => this.#jobs.cancel(id));
  }

  // What its jobs need.

  hasFile(path: string): boolean {
    return this.files.has(path) || this.options.imageFiles.some((file) => file.path === path);
  }

  get imageDir(): string {
    return this.facts.settings.imageDir;
  }

  /** Passes on what a stream brings until the connection is gone. */
  async *#whileOnline(stream: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const piece of stream) {
      signal.throwIfAborted();
      this.#requireOnline();
      yield piece;
    }
  }

  /** Waits; ends early when the agent is disposed of. */
  wait(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => this.later(ms, resolve, resolve));
  }

  /** @throws {AppError} `not_found`. */
  #require(id: string): Domain {
    const domain = this.domains.get(id);
    if (!domain) throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
    return domain;
  }

  #requireManaged(id: string): Domain {
    const domain = this.#require(id);
    if (domain.managed) return domain;
    throw new AppError("conflict", `The domain ${domain.name} is not managed by KVM-VDI. Import it first.`);
  }

  #requireOn(id: string, what: string): void {
    const domain = this.#require(id);
    if (isUp(domain)) return;
    throw new AppError("conflict", `${what} ${domain.name}: it is ${domain.state}. Start it first.`);
  }

  #put(domain: Domain): void {
    this.domains.set(domain.id, domain);
    this.emit({ type: "domain", domain });
  }

  /** `atClose` is called instead when the agent is disposed of before. */
  later(ms: number, act: () => void, atClose = () => {}): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.set(timer, atClose);
    return timer;
  }

  /** Forgets what was to be done later. */
  dropTimer(timer: ReturnType<typeof setTimeout>): void {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #requireOnline(): void {
    if (this.#offline) throw new AgentUnreachable("the fake agent is offline.");
  }

  async #answer<T>(
    method: Method,
    id: string | null,
    signal: AbortSignal | undefined,
    act: () => T,
  ): Promise<T> {
    this.calls.push({ method, id });
    if (this.options.latencyMs > 0) await this.wait(this.options.latencyMs);
    else await Promise.resolve();
    signal?.throwIfAborted();
    this.#requireOnline();
    const failures = this.#failures.get(method);
    if (failures && failures.length > 0) throw failures.shift();
    return structuredClone(act());
  }
}
