/** The long operations of the fake agent, with the real one's refusals and undoing. */
import type { AgentJob, AgentJobRequest, AgentOperation, Domain } from "../../contracts/agent.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import { isOpenJob, type JobItem } from "../../contracts/job.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { domainOfSpec, fakeDisk, firstDisk, imageDir } from "./fake_domain.ts";

export type HeldKind = AgentOperation["kind"];
type Operation<K extends HeldKind> = Extract<AgentOperation, { kind: K }>;

interface Work {
  job: AgentJob;
  operation: AgentOperation;
  abort: AbortController;
}

export class FakeJobs {
  readonly populateFailures = new Map<string, string>();
  readonly #jobs = new Map<string, Work>();
  readonly #gates = new Map<HeldKind, PromiseWithResolvers<void>>();
  #closed = false;

  constructor(private readonly agent: FakeAgent, private readonly onChange: (job: AgentJob) => void) {}

  list(): AgentJob[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  hold(kind: HeldKind): void {
    if (!this.#gates.has(kind)) this.#gates.set(kind, Promise.withResolvers());
  }

  release(kind: HeldKind): void {
    this.#gates.get(kind)?.resolve();
    this.#gates.delete(kind);
  }

  start({ id, operation }: AgentJobRequest): AgentJob {
    const known = this.#jobs.get(id);
    if (known) return known.job;
    const job: AgentJob = {
      id,
      kind: operation.kind,
      state: "queued",
      error: null,
      items: [],
      cancellable: operation.kind !== "delete-machine",
      stage: "Waiting",
      done: 0,
      total: 0,
      unit: "items",
      startedAt: null,
      endedAt: null,
    };
    const work: Work = { job, operation, abort: new AbortController() };
    this.#jobs.set(id, work);
    this.onChange(job);
    queueMicrotask(() => this.#run(work));
    return { ...job };
  }

  cancel(id: string): void {
    const work = this.#jobs.get(id);
    if (!work) throw new AppError("not_found", `There is no job ${id} on this hypervisor.`);
    if (!isOpenJob(work.job)) return;
    if (!work.job.cancellable) throw new AppError("conflict", "Cancel the job: this kind runs to its end.");
    work.abort.abort(new AppError("cancelled", "The job was cancelled."));
  }

  /** @throws {AppError} `conflict` while a job works on the machine. */
  requireFree(machineId: string): void {
    const busy = [...this.#jobs.values()].find(({ job, operation }) =>
      job.state === "running" && machinesOf(operation).includes(machineId)
    );
    if (busy) {
      throw new AppError("conflict", `The machine is busy: ${busy.job.kind}. Try again when that is done.`);
    }
  }

  interruptAll(): void {
    for (const work of this.#jobs.values()) {
      if (!isOpenJob(work.job)) continue;
      work.abort.abort(new AppError("interrupted", "The agent was stopped meanwhile."));
      this.#update(work, {
        state: "interrupted",
        error: errorInfoOf(work.abort.signal.reason),
        cancellable: false,
        endedAt: Date.now(),
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.interruptAll();
    for (const kind of [...this.#gates.keys()]) this.release(kind);
  }

  #update(work: Work, change: Partial<AgentJob>): void {
    work.job = { ...work.job, ...change };
    if (!this.#closed) this.onChange(work.job);
  }

  async #run(work: Work): Promise<void> {
    const { signal } = work.abort;
    if (!isOpenJob(work.job)) return;
    this.#update(work, { state: "running", startedAt: Date.now(), stage: "Starting" });
    let failure: unknown;
    try {
      await this.#gate(work);
      await this.#carryOut(work);
    } catch (error) {
      failure = error;
    }
    if (!isOpenJob(work.job)) return;
    const state = failure === undefined ? "succeeded" : signal.aborted ? "cancelled" : "failed";
    const error = failure === undefined ? null : errorInfoOf(signal.aborted ? signal.reason : failure);
    this.#update(work, { state, error, cancellable: false, endedAt: Date.now() });
  }

  async #gate({ operation, abort: { signal } }: Work): Promise<void> {
    signal.throwIfAborted();
    const gate = this.#gates.get(operation.kind);
    if (!gate) return;
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([gate.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  #carryOut(work: Work): Promise<void> {
    const { operation } = work;
    switch (operation.kind) {
      case "create-machine":
        return this.#create(work, operation);
      case "delete-machine":
        return Promise.resolve(this.#delete(operation));
      case "copy-disk":
        return this.#copy(work, operation);
      case "populate":
        return this.#populate(work, operation);
    }
  }

  async #create(work: Work, { machine, disk }: Operation<"create-machine">): Promise<void> {
    const { domains } = this.agent;
    if (disk.kind === "domain") return this.#adopt(machine);
    const path = `${imageDir}/${machine.name}.qcow2`;
    const all = [...domains.values()];
    if (domains.has(machine.id)) throw new AppError("conflict", `Create ${machine.name}: its id is taken.`);
    if (all.some(({ name }) => name === machine.name)) {
      throw new AppError("conflict", `Create ${machine.name}: libvirt has a domain of that name already.`);
    }
    if (machine.iso !== null && !this.agent.hasFile(machine.iso)) {
      throw new AppError("invalid", `There is no file ${machine.iso} on the hypervisor.`);
    }
    if (disk.kind === "import") {
      if (!this.agent.hasFile(disk.path)) {
        throw new AppError("invalid", `There is no file ${disk.path} on the hypervisor.`);
      }
      await this.#copyBytes(work, importedBytes);
    }
    work.abort.signal.throwIfAborted();
    const disks = disk.kind === "none"
      ? machine.role === "vdi" ? [fakeDisk(path, null)] : []
      : [fakeDisk(path, disk.kind === "blank" ? disk.bytes : importedBytes)];
    this.agent.addDomain(domainOfSpec(machine, disks));
  }

  #adopt({ id, role, osType }: Operation<"create-machine">["machine"]): void {
    const domain = this.agent.domains.get(id);
    if (!domain) throw new AppError("not_found", `Import the domain ${id}: libvirt has no such domain.`);
    if (domain.managed) {
      throw new AppError("conflict", `Import ${domain.name}: it is a machine of KVM-VDI already.`);
    }
    this.agent.change(id, { managed: true, role, osType });
  }

  #delete({ machineId }: Operation<"delete-machine">): void {
    const domain = this.agent.domains.get(machineId);
    if (!domain) return;
    requireOff(domain, "Delete the machine");
    const path = firstDisk(domain)?.path ?? null;
    const clones = [...this.agent.domains.values()].filter(({ disks }) =>
      path !== null && disks.some(({ backingPath }) => backingPath === path)
    );
    if (clones.length > 0) {
      const names = clones.map(({ name }) => name).join(", ");
      throw new AppError(
        "conflict",
        `Delete the machine ${domain.name}: its disk image is the base of ${names}.`,
      );
    }
    this.agent.removeDomain(machineId);
  }

  async #copy(work: Work, { fromId, toId }: Operation<"copy-disk">): Promise<void> {
    const from = this.#requireDomain(fromId);
    const to = this.#requireDomain(toId);
    for (const domain of [from, to]) requireOff(domain, "Copy the disk");
    if (to.role !== "initial") {
      throw new AppError("invalid", `Copy the disk to ${to.name}: it is not an initial machine.`);
    }
    const disk = firstDisk(from);
    if (disk?.path == null) {
      throw new AppError("conflict", `Copy the disk of ${from.name}: it has no disk image.`);
    }
    await this.#copyBytes(work, disk.virtualBytes ?? 0);
    const version = Number(/\.v(\d+)\.qcow2$/.exec(firstDisk(to)?.path ?? "")?.[1] ?? 0) + 1;
    this.agent.change(toId, {
      disks: [fakeDisk(`${imageDir}/${to.name}.v${version}.qcow2`, disk.virtualBytes)],
    });
  }

  async #copyBytes(work: Work, total: number): Promise<void> {
    for (let step = 1; step <= 10; step++) {
      await this.agent.wait(this.agent.options.copyMs / 10);
      work.abort.signal.throwIfAborted();
      this.#update(work, { stage: "Copying the disk", done: total * step / 10, total, unit: "bytes" });
    }
  }

  async #populate(work: Work, { initialId, machineIds }: Operation<"populate">): Promise<void> {
    const initial = this.#requireDomain(initialId);
    requireOff(initial, "Populate");
    const base = firstDisk(initial);
    if (initial.role !== "initial") {
      throw new AppError("invalid", `Populate from ${initial.name}: it is not an initial.`);
    }
    if (base?.path == null) {
      throw new AppError("conflict", `Populate from ${initial.name}: it has no image yet.`);
    }
    const items: JobItem[] = [];
    for (const id of machineIds) {
      await this.agent.wait(this.agent.options.populateMs);
      work.abort.signal.throwIfAborted();
      items.push(this.#populateOne(id, base.path, base.virtualBytes));
      const progress = {
        stage: "Populating",
        done: items.length,
        total: machineIds.length,
        unit: "items",
      } as const;
      work.job = { ...work.job, ...progress, items: [...items] };
      if (items.length % 50 === 0) this.onChange(work.job);
    }
    const failed = items.filter(({ ok }) => !ok);
    if (failed.length === 0) return;
    throw new AppError(
      "conflict",
      `Populate: ${failed.length} of ${items.length} machines failed: ${failed[0]?.message}.`,
    );
  }

  #populateOne(id: string, path: string, virtualBytes: number | null): JobItem {
    const domain = this.agent.domains.get(id);
    const name = domain?.name ?? id;
    const message = !domain
      ? "there is no such domain on this hypervisor"
      : domain.role !== "vdi"
      ? "it is not a vdi machine"
      : domain.state !== "shut-off" && domain.state !== "crashed"
      ? `it is ${domain.state}. Shut it down first`
      : this.populateFailures.get(id) ?? null;
    if (message !== null) return { id, name, ok: false, message };
    this.agent.change(id, { disks: [fakeDisk(`${imageDir}/${name}.qcow2`, virtualBytes, path)] });
    return { id, name, ok: true, message: null };
  }

  #requireDomain(id: string): Domain {
    const domain = this.agent.domains.get(id);
    if (!domain) throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
    return domain;
  }
}

const importedBytes = 16 * 2 ** 20;

function machinesOf(operation: AgentOperation): string[] {
  switch (operation.kind) {
    case "create-machine":
      return [operation.machine.id];
    case "delete-machine":
      return [operation.machineId];
    case "copy-disk":
      return [operation.fromId, operation.toId];
    case "populate":
      return [operation.initialId, ...operation.machineIds];
  }
}

function requireOff(domain: Domain, what: string): void {
  if (domain.state === "shut-off" || domain.state === "crashed") return;
  throw new AppError(
    "conflict",
    `${what}: ${domain.name} is in use: it is ${domain.state}. Shut it down first.`,
  );
}
