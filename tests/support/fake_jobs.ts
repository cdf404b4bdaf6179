/** The long operations of the fake agent, with the real one's refusals and undoing. */
import type { z } from "zod";
import type { AgentJob, AgentJobRequest, AgentOperation, ImageResult } from "../../contracts/agent.ts";
import { AppError, errorInfoOf } from "../../contracts/errors.ts";
import { isOpenJob } from "../../contracts/job.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { FakeOperations, type FakeRun } from "./fake_operations.ts";
import { FakeTransfers } from "./fake_transfers.ts";

export type HeldKind = AgentOperation["kind"];
type Operation = z.output<typeof AgentOperation>;

interface Work {
  job: AgentJob;
  operation: Operation;
  abort: AbortController;
}

export class FakeJobs {
  readonly transfers: FakeTransfers;
  readonly #operations: FakeOperations;
  readonly #jobs = new Map<string, Work>();
  readonly #gates = new Map<HeldKind, PromiseWithResolvers<void>>();
  #closed = false;

  constructor(private readonly agent: FakeAgent, private readonly onChange: (job: AgentJob) => void) {
    this.transfers = new FakeTransfers(agent);
    this.#operations = new FakeOperations(agent);
  }

  failPopulate(machineId: string, message: string): void {
    this.#operations.populateFailures.set(machineId, message);
  }

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

  start({ id, operation }: z.output<typeof AgentJobRequest>): AgentJob {
    const known = this.#jobs.get(id);
    if (known) return known.job;
    const job: AgentJob = {
      id,
      kind: operation.kind,
      state: "queued",
      error: null,
      items: [],
      result: null,
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
      job.state === "running" && this.#machinesOf(operation).includes(machineId)
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
    let result: ImageResult | null = null;
    try {
      await this.#gate(work);
      result = await this.#carryOut(work) ?? null;
    } catch (error) {
      failure = error;
    }
    if (!isOpenJob(work.job)) return;
    const state = failure === undefined ? "succeeded" : signal.aborted ? "cancelled" : "failed";
    const error = failure === undefined ? null : errorInfoOf(signal.aborted ? signal.reason : failure);
    this.#update(work, { state, error, result, cancellable: false, endedAt: Date.now() });
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

  async #carryOut(work: Work): Promise<ImageResult | void> {
    const { operation } = work;
    const { transfers } = this;
    const operations = this.#operations;
    const run = this.#runOf(work);
    switch (operation.kind) {
      case "create-machine":
        return await operations.create(operation, run);
      case "delete-machine":
        return operations.delete(operation);
      case "copy-disk":
        return await operations.copyDisk(operation, run);
      case "populate":
        return await operations.populate(operation, run, (items) => {
          const { length: total } = operation.machineIds;
          const progress = { stage: "Populating", done: items.length, total, unit: "items" } as const;
          work.job = { ...work.job, ...progress, items: [...items] };
          if (items.length % 50 === 0) this.onChange(work.job);
        });
      case "copy-image":
        return await transfers.copyImage(operation, run);
      case "seal":
        return await transfers.seal(operation, run);
      case "receive-image":
        return await transfers.receive(operation, run);
      case "send-image":
        return await transfers.send(operation, run);
      case "flatten":
        return await operations.flatten(operation, run);
      case "resize-disk":
        return operations.resize(operation);
      case "create-data-disk":
        return operations.createDataDisk(operation);
    }
  }

  #runOf(work: Work): FakeRun {
    const { signal } = work.abort;
    return {
      jobId: work.job.id,
      signal,
      report: (change) => this.#update(work, change),
      copyBytes: async (total, stage) => {
        for (let step = 1; step <= 10; step++) {
          await this.agent.wait(this.agent.options.copyMs / 10);
          signal.throwIfAborted();
          this.#update(work, { stage, done: total * step / 10, total, unit: "bytes" });
        }
      },
    };
  }

  /** The machines that a job holds. */
  #machinesOf(operation: Operation): string[] {
    const usersOf = (path: string) => this.agent.files.usersOf(path).map(({ id }) => id);
    switch (operation.kind) {
      case "create-machine":
        return [operation.machine.id];
      case "delete-machine":
      case "flatten":
      case "resize-disk":
        return [operation.machineId];
      case "copy-disk":
        return [operation.fromId, operation.toId];
      case "populate":
        return [operation.initialId, ...operation.machineIds];
      case "copy-image":
        return usersOf(operation.fromPath);
      case "seal":
      case "send-image":
        return usersOf(operation.path);
      case "receive-image":
      case "create-data-disk":
        return [];
    }
  }
}
