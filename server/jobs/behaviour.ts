/** What a job is asked for with, and what its kind does. */
import type { AgentOperation, ImageResult } from "../../contracts/agent.ts";
import type { Job, JobItem, JobKind, JobState, Progress } from "../../contracts/job.ts";

export interface JobRequest {
  /** Its id, where somebody has to know it before it has ended; default: a new one. */
  id?: string;
  kind: JobKind;
  /** What it works on; at most one open job a subject. Without an id: nothing is held but `machineIds`. */
  subject: { id: string | null; name: string };
  /** null: the dashboard itself. */
  by: { username: string } | null;
  /** What is needed to finish or resume it after a restart; plain JSON. */
  input?: unknown;
  /** Machines that it works on besides the subject. */
  machineIds?: string[];
  /** Items that were dealt with before it starts, as those that are refused; an agent's come after them. */
  items?: JobItem[];
  /** The job that it is a step of. */
  parentId?: string;
  progress?: Partial<Progress>;
  cancellable?: boolean;
}

/** How a job ended, for the `settle` of its kind. */
export interface EndedJob {
  id: string;
  state: Exclude<JobState, "queued" | "running">;
  subjectId: string | null;
  hypervisorId: string | null;
  input: unknown;
  items: JobItem[];
  /** The image file that an agent's job has made. */
  result: ImageResult | null;
}

/** A step as it ended; its result is known until the dashboard restarts. */
export type EndedStep = Job & { result: ImageResult | null };

/** What a job of the dashboard's own works with. */
export interface LocalOperation {
  job: Readonly<Job>;
  input: unknown;
  signal: AbortSignal;
  report(progress: Partial<Progress>): void;
  /** Notes how one item ended. */
  addItem(item: JobItem): void;
  /** An item that went well so far failed in a later stage. */
  failItem(id: string, message: string): void;
  /** Whether somebody has cancelled it; a dashboard that stops aborts `signal` too. */
  isCancelled(): boolean;
  /** Starts a step, waits for it, and returns how it ended; cancelling this job cancels it too. */
  step(
    request: Omit<JobRequest, "by" | "parentId">,
    hypervisorId: string,
    operation: AgentOperation,
    onProgress?: (progress: Progress) => void,
  ): Promise<EndedStep>;
  /** The steps that were started so far, also before a restart of the dashboard. */
  earlierSteps(): Promise<Job[]>;
}

export interface JobBehaviour {
  /** Brings rows in line with how an agent's job ended. May happen twice after a crash. */
  settle?(ended: EndedJob): Promise<void>;
  /** Carries a job of the dashboard's own out. */
  run?(operation: LocalOperation): Promise<void>;
  /** `run` can go on after a restart; otherwise the job is interrupted then. */
  resumable?: boolean;
  /** What else to say when it is. */
  interrupted?: string;
}
