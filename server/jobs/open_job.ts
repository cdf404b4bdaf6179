/** A job that has not ended, in memory: its progress, who waits for it, and when it is written next. */
import type { ImageResult } from "../../contracts/agent.ts";
import type { Job, JobItem, Progress } from "../../contracts/job.ts";
import type { StoredJob } from "./store.ts";

/** Progress is written and told at most this often; changes of state at once. */
export const progressIntervalMs = 250;

export class OpenJob {
  readonly job: Job;
  readonly hypervisorId: string | null;
  readonly parentId: string | null;
  readonly input: unknown;
  /** Machines that it works on, its subject included. */
  readonly machineIds: ReadonlySet<string>;
  /** Cancels a job of the dashboard's own. */
  readonly abort = new AbortController();
  readonly ended = Promise.withResolvers<Job>();
  /** Whoever waits for a step sees its progress. */
  onProgress: ((progress: Progress) => void) | null = null;
  /** The image file that its agent has made, once it has ended. */
  result: ImageResult | null = null;
  /** The agent is being asked to start it: not knowing it yet means nothing. */
  dispatching = false;
  /** Its end is being dealt with. */
  closing = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #lastWriteMs = 0;

  constructor(stored: StoredJob, machineIds: Iterable<string>, private readonly write: () => void) {
    this.job = stored.job;
    this.hypervisorId = stored.hypervisorId;
    this.parentId = stored.parentId;
    this.input = stored.input;
    this.machineIds = new Set(machineIds);
  }

  /** Takes progress in and has it written soon. */
  report(progress: Partial<Progress & { items: JobItem[] }>): void {
    Object.assign(this.job, progress);
    if (this.#timer !== null || this.closing) return;
    const waitMs = Math.max(0, this.#lastWriteMs + progressIntervalMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#lastWriteMs = performance.now();
      const { stage, done, total, unit } = this.job;
      this.onProgress?.({ stage, done, total, unit });
      this.write();
    }, waitMs);
  }

  /** Forgets a write that is due. */
  dropPendingWrite(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
