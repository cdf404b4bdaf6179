import type { z } from "zod";
import type {
  AgentOperation,
  CopyDiskOperation,
  CreateMachineOperation,
  DeleteMachineOperation,
  PopulateOperation,
} from "../contracts/agent.ts";
import type { HostFacts } from "../contracts/hypervisor.ts";
import type { JobItem, Progress } from "../contracts/job.ts";
import type { Logger } from "../lib/log.ts";
import type { AgentConfig } from "./config.ts";
import type { DomainTable } from "./inventory/domain_table.ts";
import type { Virsh } from "./libvirt/virsh.ts";
import type { Locks } from "./locks.ts";

/** Everything an operation may use. */
export interface Host {
  readonly config: AgentConfig;
  readonly log: Logger;
  readonly virsh: Virsh;
  /** Machine ids and file paths that an operation works on; taken all at once, so that nothing deadlocks. */
  readonly locks: Locks;
  /** The live view of libvirt's domains. `refresh(id)` after a change, so that everybody sees it at once. */
  readonly domains: DomainTable;
  /** `domainType` is the one in force: what new machines use. */
  facts(): HostFacts;
}

/** The running job as its operation sees it. */
export interface Operation {
  /** Aborts when the job is cancelled or the agent stops; clean up and let its reason pass. */
  readonly signal: AbortSignal;
  /** As often as you like: updates are coalesced. */
  report(progress: Partial<Progress>): void;
  /** How single items ended, the whole list so far. */
  items(items: JobItem[]): void;
}

/**
 * What a job of a kind does. `run` undoes its work unless it succeeds. `recover` is called at the next start for a
 * job during which the agent was killed: it removes what is left of it (files, a half-made domain).
 */
export interface JobOperation<Input extends z.output<typeof AgentOperation>> {
  run(host: Host, input: Input, op: Operation): Promise<void>;
  recover(host: Host, input: Input): Promise<void>;
}

export interface JobOperations {
  "create-machine": JobOperation<z.output<typeof CreateMachineOperation>>;
  "delete-machine": JobOperation<z.output<typeof DeleteMachineOperation>>;
  "copy-disk": JobOperation<z.output<typeof CopyDiskOperation>>;
  "populate": JobOperation<z.output<typeof PopulateOperation>>;
}
