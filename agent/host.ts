import type { z } from "zod";
import type { AgentOperation, ImageResult } from "../contracts/agent.ts";
import type { HostFacts } from "../contracts/hypervisor.ts";
import type { JobItem, Progress } from "../contracts/job.ts";
import type { Logger } from "../lib/log.ts";
import type { AgentConfig } from "./config.ts";
import type { Receivers } from "./images/receiver.ts";
import type { DomainTable } from "./inventory/domain_table.ts";
import type { Virsh } from "./libvirt/virsh.ts";
import type { Locks } from "./locks.ts";

/** Everything an operation may use. */
export interface Host {
  /** As it is now: directories and domain type can change between two operations, never during one. */
  readonly config: AgentConfig;
  /** Where images of the agent's own may lie: `config.imageDir`, then those that were used before. */
  imageDirs(): string[];
  scratchDirs(): string[];
  readonly log: Logger;
  readonly virsh: Virsh;
  /** Machine ids and file paths that an operation works on; taken all at once, so that nothing deadlocks. */
  readonly locks: Locks;
  /** The live view of libvirt's domains. `refresh(id)` after a change, so that everybody sees it at once. */
  readonly domains: DomainTable;
  /** The files that are being received now, by the id of their job. */
  readonly receivers: Receivers;
  /** `domainType` is the one in force: what new machines use. */
  facts(): HostFacts;
}

/** The running job as its operation sees it. */
export interface Operation {
  readonly jobId: string;
  /** Aborts when the job is cancelled or the agent stops; clean up and let its reason pass. */
  readonly signal: AbortSignal;
  /** As often as you like: updates are coalesced. */
  report(progress: Partial<Progress>): void;
  /** How single items ended, the whole list so far. */
  items(items: JobItem[]): void;
}

/** Everything that can be asked of a job, as it is once its request was read. */
export type OperationInput = z.output<typeof AgentOperation>;
export type OperationKind = OperationInput["kind"];
export type OperationOf<Kind extends OperationKind> = Extract<OperationInput, { kind: Kind }>;

/**
 * What a job of a kind does. `run` undoes its work unless it succeeds, and may tell what image it has made. `recover`
 * is called at the next start for a job during which the agent was killed: it removes what is left of it (files, a
 * half-made domain).
 */
export interface JobOperation<Input extends OperationInput> {
  run(host: Host, input: Input, op: Operation): Promise<ImageResult | void>;
  recover(host: Host, input: Input): Promise<void>;
}

export type JobOperations = { [Kind in OperationKind]: JobOperation<OperationOf<Kind>> };
