import type { z } from "zod";
import type { AgentJob, AgentJobRequest } from "../contracts/agent.ts";
import { AppError, errorInfoOf } from "../contracts/errors.ts";
import { isOpenJob, type JobItem, type Progress } from "../contracts/job.ts";
import { JobFiles, type KeptJob } from "./job_files.ts";
import type { Host, JobOperation, JobOperations } from "./host.ts";

const mostRunning = 16;
const progressIntervalMs = 250;

export interface JobsOptions {
  host: Host;
  operations: JobOperations;
  files: JobFiles;
  /** State changes at once; progress at most four times a second. */
  onChange(job: AgentJob): void;
}

interface Work {
  kept: KeptJob;
  abort: AbortController;
  progressTimer?: ReturnType<typeof setTimeout>;
  done: Promise<void>;
}

/** The long operations of this agent. Ids come from the dashboard, so that asking twice starts one job. */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #jobs: Map<string, KeptJob>;
  readonly #work = new Map<string, Work>();
  #stopping = false;
  /** Why no new jobs are taken. */
  #refusal: AppError | null = null;
  #idle = Promise.withResolvers<void>();

  private constructor(options: JobsOptions, kept: KeptJob[]) {
    this.#options = options;
    this.#jobs = new Map(kept.map((one) => [one.job.id, one]));
  }

  /** Takes up what an earlier agent left: its open jobs are `interrupted`, see `recover()`. */
  static async load(options: JobsOptions): Promise<Jobs> {
    const jobs = new Jobs(options, await options.files.readAll());
    for (const kept of jobs.#jobs.values()) {
      if (!isOpenJob(kept.job)) continue;
      kept.recover = true;
      await jobs.#end(kept, "interrupted", new AppError("interrupted", "The agent was stopped meanwhile."));
    }
    return jobs;
  }

  list(): AgentJob[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  /** @throws {AppError} `not_found`. */
  get(id: string): AgentJob {
    return this.#require(id).job;
  }

  /** Starts a job and returns it; the same id again returns the same job. */
  async start({ id, operation }: z.output<typeof AgentJobRequest>): Promise<AgentJob> {
    const known = this.#jobs.get(id);
    if (known) return known.job;
    if (this.#refusal) throw this.#refusal;
    if (this.#stopping) throw new AppError("unavailable", "The agent is stopping. Try again in a moment.");
    const job: AgentJob = {
      id,
      kind: operation.kind,
      state: "queued",
      error: null,
      items: [],
      result: null,
      cancellable: operation.kind !== "delete-machine",
      ...{ startedAt: null, endedAt: null, stage: "Waiting", done: 0, total: 0, unit: "items" },
    };
    const kept: KeptJob = { job, operation, recover: false };
    this.#jobs.set(id, kept);
    await this.#options.files.write(kept);
    this.#options.onChange(job);
    this.#work.set(id, { kept, abort: new AbortController(), done: Promise.resolve() });
    this.#runQueued();
    return kept.job;
  }

  /** Asks an open job to end; one that has ended stays as it is. */
  async cancel(id: string): Promise<void> {
    const { job } = this.#require(id);
    const work = this.#work.get(id);
    if (!work || !isOpenJob(job)) return;
    if (!job.cancellable) throw new AppError("conflict", "Cancel the job: this kind runs to its end.");
    work.abort.abort(new AppError("cancelled", "The job was cancelled."));
    if (job.state === "queued") await this.#finish(work, work.abort.signal.reason);
  }

  /** Removes what interrupted jobs left behind; needs libvirt. What fails is tried again at the next call. */
  async recover(): Promise<void> {
    const { host, operations, files } = this.#options;
    for (const kept of [...this.#jobs.values()].filter(({ recover }) => recover)) {
      try {
        await (operations[kept.operation.kind] as JobOperation<KeptJob["operation"]>).recover(
          host,
          kept.operation,
        );
        kept.recover = false;
        await files.write(kept);
        host.log.info({ jobId: kept.job.id, kind: kept.job.kind }, "cleaned up after an interrupted job");
      } catch (error) {
        host.log.error({ err: error, jobId: kept.job.id }, "cleaning up after an interrupted job failed");
      }
    }
  }

  /** Takes no new jobs from now on, and resolves once those that are open have ended. */
  async drain(refusal: AppError): Promise<void> {
    this.#refusal = refusal;
    if (this.#work.size > 0) await this.#idle.promise;
  }

  /** Interrupts all jobs and waits until they have undone their work. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const reason = new AppError("interrupted", "The agent was stopped meanwhile.");
    const works = [...this.#work.values()];
    for (const work of works) {
      work.abort.abort(reason);
      if (work.kept.job.state === "queued") await this.#finish(work, reason);
    }
    await Promise.all(works.map(({ done }) => done));
  }

  #require(id: string): KeptJob {
    const kept = this.#jobs.get(id);
    if (!kept) throw new AppError("not_found", `There is no job ${id} on this hypervisor.`);
    return kept;
  }

  #runQueued(): void {
    const works = [...this.#work.values()];
    const running = works.filter(({ kept }) => kept.job.state === "running").length;
    const queued = works.filter(({ kept, abort }) => kept.job.state === "queued" && !abort.signal.aborted);
    for (const work of queued.slice(0, mostRunning - running)) {
      this.#update(work.kept, { state: "running", startedAt: Date.now(), stage: "Starting" });
      work.done = this.#run(work);
    }
  }

  async #run(work: Work): Promise<void> {
    const { host, operations, files } = this.#options;
    const { kept, abort } = work;
    let failure: unknown;
    let result: AgentJob["result"] = null;
    try {
      await files.write(kept);
      abort.signal.throwIfAborted();
      const operation = operations[kept.operation.kind] as JobOperation<KeptJob["operation"]>;
      const made = await operation.run(host, kept.operation, {
        jobId: kept.job.id,
        signal: abort.signal,
        report: (progress) => this.#note(work, progress),
        items: (items) => this.#note(work, { items }),
      });
      result = made ?? null;
    } catch (error) {
      failure = error;
    }
    await this.#finish(work, failure, result);
    this.#runQueued();
  }

  async #finish(work: Work, failure: unknown, result: AgentJob["result"] = null): Promise<void> {
    const { kept, abort, progressTimer } = work;
    clearTimeout(progressTimer);
    if (failure === undefined) kept.job = { ...kept.job, result };
    await this.#endAs(kept, abort.signal, failure);
    this.#work.delete(kept.job.id);
    if (this.#refusal && this.#work.size === 0) this.#idle.resolve();
  }

  async #endAs(kept: KeptJob, signal: AbortSignal, failure: unknown): Promise<void> {
    if (failure === undefined) return await this.#end(kept, "succeeded");
    if (signal.aborted) {
      const reason = signal.reason as AppError;
      return await this.#end(kept, reason.code === "interrupted" ? "interrupted" : "cancelled", reason);
    }
    this.#options.host.log.error({ err: failure, jobId: kept.job.id, kind: kept.job.kind }, "job failed");
    await this.#end(kept, "failed", failure);
  }

  async #end(kept: KeptJob, state: AgentJob["state"], failure?: unknown): Promise<void> {
    const error = failure === undefined ? null : errorInfoOf(failure);
    this.#update(kept, { state, error, cancellable: false, endedAt: Date.now() });
    try {
      await this.#options.files.write(kept);
      for (const id of await this.#options.files.removeOldest()) this.#jobs.delete(id);
    } catch (error) {
      // The job has ended whatever the disk says; after a restart it would be told as interrupted.
      this.#options.host.log.error({ err: error, jobId: kept.job.id }, "keeping a job's end failed");
    }
  }

  #note(work: Work, change: Partial<Progress> | { items: JobItem[] }): void {
    if (work.kept.job.state !== "running") return;
    work.kept.job = { ...work.kept.job, ...change };
    work.progressTimer ??= setTimeout(() => {
      work.progressTimer = undefined;
      this.#options.onChange(work.kept.job);
    }, progressIntervalMs);
  }

  #update(kept: KeptJob, change: Partial<AgentJob>): void {
    kept.job = { ...kept.job, ...change };
    this.#options.onChange(kept.job);
  }
}
