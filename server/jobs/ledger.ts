/** The jobs that have not ended, in memory and in the table, and how they are told of. */
import { AppError, type ErrorInfo, errorInfoOf } from "../../contracts/errors.ts";
import type { Job, JobKind } from "../../contracts/job.ts";
import type { Logger } from "../../lib/log.ts";
import type { Bus } from "../bus.ts";
import type { Db } from "../db/schema.ts";
import type { EndedJob, JobBehaviour, JobRequest } from "./behaviour.ts";
import { OpenJob } from "./open_job.ts";
import { findJob, insertJob, listJobs, type StoredJob, updateJob } from "./store.ts";

export interface LedgerOptions {
  db: Db;
  bus: Bus;
  log: Logger;
  now(): number;
}

export class JobLedger {
  readonly open = new Map<string, OpenJob>();
  readonly behaviours = new Map<JobKind, JobBehaviour>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(private readonly options: LedgerOptions) {}

  /** As it is now. @throws {AppError} `not_found`. */
  async get(id: string): Promise<Job> {
    const open = this.open.get(id);
    if (open) return { ...open.job };
    const stored = await findJob(this.options.db, id);
    if (!stored) throw new AppError("not_found", "There is no such job.");
    return stored.job;
  }

  /** Which open job works on each machine; the larger job, where it is only a step. */
  holds(): ReadonlyMap<string, string> {
    const holds = new Map<string, string>();
    for (const open of this.open.values()) {
      for (const id of open.machineIds) {
        if (!holds.has(id) || open.parentId === null) holds.set(id, open.parentId ?? open.job.id);
      }
    }
    return holds;
  }

  /** The open job that works on this machine. */
  holderOf(machineId: string): Job | null {
    for (const open of this.open.values()) {
      if (open.parentId === null && open.machineIds.has(machineId)) return { ...open.job };
    }
    for (const open of this.open.values()) {
      if (open.machineIds.has(machineId)) return { ...open.job };
    }
    return null;
  }

  /** Makes a job, for an agent or (null) for the dashboard itself. @throws {AppError} `conflict` if its subject has one. */
  async insert(request: JobRequest, hypervisorId: string | null, cancellable = true): Promise<OpenJob> {
    const { subject, machineIds = [] } = request;
    const stored: StoredJob = {
      hypervisorId,
      parentId: request.parentId ?? null,
      input: { ...(request.input ?? {}), machineIds, items: request.items ?? [] },
      job: {
        id: request.id ?? crypto.randomUUID(),
        kind: request.kind,
        state: hypervisorId === null ? "running" : "queued",
        subjectId: subject.id,
        subjectName: subject.name,
        stage: "",
        done: 0,
        total: 0,
        unit: "items",
        ...request.progress,
        error: null,
        items: request.items ?? [],
        cancellable: request.cancellable ?? cancellable,
        requestedBy: request.by?.username ?? null,
        createdAt: this.options.now(),
        startedAt: hypervisorId === null ? this.options.now() : null,
        endedAt: null,
      },
    };
    if (!await insertJob(this.options.db, stored)) throw await this.#busy(subject);
    const open = this.remember(stored);
    // Until the agent has been asked, not knowing the job means nothing.
    open.dispatching = hypervisorId !== null;
    this.#announce(open);
    return open;
  }

  async #busy({ id, name }: JobRequest["subject"]): Promise<AppError> {
    const { items: [running] } = await listJobs(this.options.db, {
      subjectId: id!,
      open: true,
      limit: 1,
    });
    const what = running
      ? `${running.kind} (${running.stage || running.state}` +
        `${running.requestedBy ? `, by ${running.requestedBy}` : ""})`
      : "another job";
    return new AppError(
      "conflict",
      `${name} is busy with ${what}. Wait for it or cancel it, then try again.`,
    );
  }

  /** Keeps a job that is in the table. */
  remember(stored: StoredJob): OpenJob {
    const open: OpenJob = new OpenJob(stored, machineIdsOf(stored), () => this.track(this.write(open)));
    this.open.set(stored.job.id, open);
    return open;
  }

  /** Ends a job, once its rows are in line. */
  async close(open: OpenJob, state: EndedJob["state"], error: ErrorInfo | null): Promise<void> {
    if (open.closing) return;
    open.closing = true;
    open.dropPendingWrite();
    const { job } = open;
    const settled = await this.#settle(open, state);
    Object.assign(job, {
      state: settled ? state : "failed",
      error: settled ? error : errorInfoOf(null),
      cancellable: false,
      endedAt: this.options.now(),
    });
    await updateJob(this.options.db, job);
    this.open.delete(job.id);
    this.#announce(open);
    open.ended.resolve({ ...job });
  }

  /** Returns false when the rows could not be brought in line. */
  async #settle(open: OpenJob, state: EndedJob["state"]): Promise<boolean> {
    const settle = this.behaviours.get(open.job.kind)?.settle;
    if (!settle || open.hypervisorId === null) return true;
    const { id, subjectId, items } = open.job;
    const { hypervisorId, input, result } = open;
    try {
      await settle({ id, state, subjectId, items, hypervisorId, input, result });
      return true;
    } catch (error) {
      this.options.log.error(
        { err: error, job: id, kind: open.job.kind },
        "a job's end could not be recorded",
      );
      return false;
    }
  }

  /** Writes and tells its progress. */
  async write(open: OpenJob): Promise<void> {
    if (open.closing) return;
    await updateJob(this.options.db, open.job);
    this.#announce(open);
  }

  #announce(open: OpenJob): void {
    if (open.parentId === null) this.options.bus.publish({ type: "job", job: { ...open.job } });
    const ids = [...open.machineIds];
    // Whether a machine is held changes only at the beginning and at the end.
    const edge = open.closing || open.job.done === 0;
    if (edge && ids.length > 0) this.options.bus.publish({ type: "machines", ids });
  }

  /** Lets work go on by itself; `settled` waits for it. */
  track(work: Promise<unknown>): void {
    const tracked = work
      .catch((error) => this.options.log.error({ err: error }, "work on a job failed"))
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  /** Waits for all work that goes on. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running]);
    for (const open of this.open.values()) open.dropPendingWrite();
  }
}

function machineIdsOf({ job, input }: StoredJob): string[] {
  const { machineIds } = input as { machineIds: string[] };
  const subject = job.subjectId !== null && job.kind !== "bulk" ? [job.subjectId] : [];
  return [...subject, ...machineIds];
}
