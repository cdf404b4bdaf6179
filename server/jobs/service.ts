/**
 * Long operations: queued -> running -> succeeded | failed | cancelled | interrupted, kept as history.
 * A job is either carried out by an agent under the same id (`delegate`), or by the dashboard itself (`start`), possibly
 * in steps that are jobs with a parent. What an ended agent job means for rows is in the `settle` of its kind, so that it
 * also happens when the job is picked up again after a restart.
 */
import type { AgentJob, AgentOperation, ImageResult } from "../../contracts/agent.ts";
import type { Page } from "../../contracts/common.ts";
import { AppError, type ErrorInfo, errorInfoOf } from "../../contracts/errors.ts";
import { isOpenJob, type Job, type JobItem, type JobKind, type JobQuery } from "../../contracts/job.ts";
import type { z } from "zod";
import type { AgentConnections } from "../agents/connections.ts";
import { AgentUnreachable } from "../agents/unreachable.ts";
import type { EndedJob, EndedStep, JobBehaviour, JobRequest, LocalOperation } from "./behaviour.ts";
import { JobLedger, type LedgerOptions } from "./ledger.ts";
import type { OpenJob } from "./open_job.ts";
import { findOpenJobs, findSteps, listJobs } from "./store.ts";

export type { EndedJob, EndedStep, JobBehaviour, JobRequest, LocalOperation };

export interface JobsOptions extends LedgerOptions {
  agents: AgentConnections;
}

export class Jobs {
  #ledger: JobLedger;
  #stopping = new AbortController();
  #unlisten: () => void;

  constructor(private readonly options: JobsOptions) {
    this.#ledger = new JobLedger(options);
    this.#unlisten = options.agents.listen((change) => {
      if (change.type === "job") this.#ledger.track(this.#take(change.job));
      if (change.type === "jobs") this.#ledger.track(this.#reconcile(change.hypervisorId, change.jobs));
    });
  }

  /** Says what the jobs of a kind do. Once per kind, before recover(). */
  define(kind: JobKind, behaviour: JobBehaviour): void {
    this.#ledger.behaviours.set(kind, behaviour);
  }

  /** Takes up what was open when the dashboard ended. Agents' jobs go on when their agent connects. */
  async recover(): Promise<void> {
    const hypervisorIds = new Set<string>();
    for (const stored of await findOpenJobs(this.options.db)) {
      const open = this.#ledger.remember(stored);
      if (open.hypervisorId !== null) hypervisorIds.add(open.hypervisorId);
      else if (this.#ledger.behaviours.get(open.job.kind)?.resumable) this.#ledger.track(this.#run(open));
      else {
        const message = this.#ledger.behaviours.get(open.job.kind)?.interrupted ??
          interruptedByRestart.message;
        await this.#ledger.close(open, "interrupted", { ...interruptedByRestart, message });
      }
    }
    for (const id of hypervisorIds) {
      if (this.options.agents.status(id).usable) await this.#reconcile(id, []);
    }
  }

  /** Ends the work of the dashboard's own jobs; they stay open and recover() deals with them. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unlisten();
    for (const open of this.#ledger.open.values()) open.abort.abort(this.#stopping.signal.reason);
    await this.#ledger.settled();
  }

  /**
   * Starts a job that the dashboard itself carries out, as its kind says.
   * @throws {AppError} `conflict` if the subject has an open job.
   */
  async start(request: JobRequest): Promise<Job> {
    const open = await this.#ledger.insert(request, null);
    this.#ledger.track(this.#run(open));
    return { ...open.job };
  }

  /**
   * Has an agent carry a job out, under the same id.
   * @throws {AppError} `conflict` if the subject has an open job; `unavailable` if the hypervisor cannot be reached; or
   * the agent's own refusal, which then is the failed job's error as well.
   */
  async delegate(request: JobRequest, hypervisorId: string, operation: AgentOperation): Promise<Job> {
    const agent = this.options.agents.of(hypervisorId);
    const open = await this.#ledger.insert(request, hypervisorId, operation.kind !== "delete-machine");
    try {
      await this.#take(await agent.startJob({ id: open.job.id, operation }, this.#stopping.signal));
    } catch (error) {
      // Whether the agent has it is found out at the next start.
      if (this.#stopping.signal.aborted) throw error;
      if (!(error instanceof AgentUnreachable)) {
        await this.#ledger.close(open, "failed", errorInfoOf(error));
        throw error;
      }
      open.dispatching = false;
      await this.#reconcile(hypervisorId, []);
    } finally {
      open.dispatching = false;
    }
    return { ...open.job };
  }

  /** @throws {AppError} `not_found`. */
  get(id: string): Promise<Job> {
    return this.#ledger.get(id);
  }

  list(query: z.output<typeof JobQuery>): Promise<Page<Job>> {
    return listJobs(this.options.db, query);
  }

  /** Every open job that is not a step of another. */
  listOpen(): Job[] {
    return [...this.#ledger.open.values()].filter((open) => open.parentId === null).map((open) => ({
      ...open.job,
    }));
  }

  /** Waits until the job has ended, however. */
  async ended(id: string, signal?: AbortSignal): Promise<Job> {
    const open = this.#ledger.open.get(id);
    if (!open) return await this.get(id);
    if (!signal) return await open.ended.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      return await Promise.race([open.ended.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * Which open job works on each machine (the larger job, where it is only a step). A machine in it must not be started,
   * given to a user or changed.
   */
  holds(): ReadonlyMap<string, string> {
    return this.#ledger.holds();
  }

  /** The open job that works on this machine. */
  holderOf(machineId: string): Job | null {
    return this.#ledger.holderOf(machineId);
  }

  /**
   * Asks a job to stop. It has ended once `ended` says so.
   * @throws {AppError} `conflict` if it cannot be cancelled or has ended.
   */
  async cancel(id: string): Promise<Job> {
    const open = this.#ledger.open.get(id);
    if (!open) {
      const job = await this.get(id);
      throw new AppError("conflict", `The job has already ended: ${job.state}.`);
    }
    if (!open.job.cancellable) {
      throw new AppError(
        "conflict",
        `This job cannot be cancelled: it is ${open.job.stage || open.job.state}.`,
      );
    }
    if (open.hypervisorId !== null) await this.#cancelOnAgent(open, open.hypervisorId);
    else open.abort.abort(new AppError("cancelled", "The job was cancelled."));
    return { ...open.job };
  }

  async #cancelOnAgent({ job }: OpenJob, hypervisorId: string): Promise<void> {
    try {
      await this.options.agents.of(hypervisorId).cancelJob(job.id);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "not_found") throw error;
      await this.#reconcile(hypervisorId, []);
    }
  }

  async #run(open: OpenJob): Promise<void> {
    const run = this.#ledger.behaviours.get(open.job.kind)?.run;
    try {
      if (!run) throw new Error(`jobs of kind ${open.job.kind} are not carried out by the dashboard`);
      await run(this.#operationOf(open));
      await this.#ledger.close(open, "succeeded", null);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const cancelled = open.abort.signal.aborted;
      const info = cancelled ? errorInfoOf(open.abort.signal.reason) : errorInfoOf(error);
      if (info.code === "internal") this.options.log.error({ err: error, job: open.job.id }, "job failed");
      const state = cancelled ? "cancelled" : info.code === "interrupted" ? "interrupted" : "failed";
      await this.#ledger.close(open, state, info);
    }
  }

  #operationOf(open: OpenJob): LocalOperation {
    const { job } = open;
    const { signal } = open.abort;
    return {
      job,
      input: open.input,
      signal,
      report: (progress) => open.report(progress),
      addItem: (item) => open.report({ items: [...job.items, item], done: job.done + 1 }),
      failItem: (id, message) =>
        open.report({
          items: job.items.map((item) => item.id === id ? { ...item, ok: false, message } : item),
        }),
      isCancelled: () => signal.aborted && !this.#stopping.signal.aborted,
      earlierSteps: async () => (await findSteps(this.options.db, job.id)).map((step) => step.job),
      step: async (request, hypervisorId, operation, onProgress) => {
        signal.throwIfAborted();
        const by = job.requestedBy === null ? null : { username: job.requestedBy };
        const step = await this.delegate({ ...request, by, parentId: job.id }, hypervisorId, operation);
        const openStep = this.#ledger.open.get(step.id) ?? null;
        if (openStep && onProgress) openStep.onProgress = onProgress;
        const ended = await this.#endOfStep(step.id, signal);
        return { ...ended, result: openStep ? openStep.result : await this.resultOf(step.id, hypervisorId) };
      },
    };
  }

  /** The image file that an agent's job has made; null also while the agent cannot be asked. */
  async resultOf(id: string, hypervisorId: string): Promise<ImageResult | null> {
    return (await this.#jobsOf(hypervisorId))?.find((job) => job.id === id)?.result ?? null;
  }

  /** Waits for a step; cancels it when its parent is cancelled, and leaves it alone when the dashboard stops. */
  async #endOfStep(id: string, signal: AbortSignal): Promise<Job> {
    try {
      return await this.ended(id, signal);
    } catch (error) {
      if (!signal.aborted || this.#stopping.signal.aborted) throw error;
      if (this.#ledger.open.get(id)?.job.cancellable) await this.cancel(id);
      return await this.ended(id);
    }
  }

  /** Takes in what an agent says about a job. */
  async #take(told: AgentJob): Promise<void> {
    const open = this.#ledger.open.get(told.id);
    if (!open || open.closing) return;
    const own = ownItemsOf(open);
    const { stage, done, total, unit, cancellable, startedAt } = told;
    const progress = { stage, done, total, unit, items: [...own, ...told.items] };
    if (!isOpenJob(told)) {
      open.result = told.result ?? null;
      Object.assign(open.job, progress, { startedAt: open.job.startedAt ?? startedAt });
      if (told.state === "succeeded" && own.some(({ ok }) => !ok)) {
        return await this.#ledger.close(open, "failed", partialFailure(progress.items));
      }
      return await this.#ledger.close(open, told.state as EndedJob["state"], told.error);
    }
    // An answer may be older than an event that came before it.
    if (told.state === "queued" && open.job.state === "running") return;
    const started = told.state === "running" && open.job.state === "queued";
    if (started) Object.assign(open.job, { state: "running", startedAt: startedAt ?? this.options.now() });
    open.report(progress);
    open.job.cancellable = cancellable;
    if (started) await this.#ledger.write(open);
  }

  /** After a connection was made: goes on with the jobs that the agent knows, ends those that it does not. */
  async #reconcile(hypervisorId: string, told: AgentJob[]): Promise<void> {
    for (const job of told) await this.#take(job);
    const expected = [...this.#ledger.open.values()].filter((open) =>
      open.hypervisorId === hypervisorId && !open.dispatching && !open.closing
    );
    if (expected.length === 0) return;
    // Asked again, because the list may be older than a job that was started meanwhile.
    const known = await this.#jobsOf(hypervisorId);
    if (known === null) return;
    for (const job of known) await this.#take(job);
    const ids = new Set(known.map((job) => job.id));
    for (const open of expected) {
      if (!ids.has(open.job.id) && !open.closing) {
        await this.#ledger.close(open, "interrupted", forgottenByAgent);
      }
    }
  }

  async #jobsOf(hypervisorId: string): Promise<AgentJob[] | null> {
    try {
      return await this.options.agents.of(hypervisorId).jobs(this.#stopping.signal);
    } catch (error) {
      this.options.log.info({ err: error, hypervisorId }, "jobs wait until the agent answers again");
      return null;
    }
  }
}

const interruptedByRestart: ErrorInfo = {
  code: "interrupted",
  message:
    "The dashboard was restarted while this ran. Look at the items that are listed, then start it again.",
};
const forgottenByAgent: ErrorInfo = {
  code: "interrupted",
  message: "The agent does not know this job: it was restarted, or never got it. Start it again.",
};

/** What a job with several items failed with: how many, which, and why the first. */
export function partialFailure(items: readonly JobItem[]): ErrorInfo {
  const failed = items.filter(({ ok }) => !ok);
  const names = failed.slice(0, 3).map(({ name }) => name).join(", ");
  const more = failed.length > 3 ? ` and ${failed.length - 3} more` : "";
  return {
    code: "conflict",
    message: `${failed.length} of ${items.length} failed: ${names}${more}. The first: ${
      failed[0]?.message ?? ""
    }`,
  };
}

const ownItemsOf = ({ input }: OpenJob) => (input as { items: JobItem[] }).items;
