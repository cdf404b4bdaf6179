/**
 * Moves clones to the version that was published: those that nobody uses at once, a batch at a time on each hypervisor,
 * the others when their user leaves or when they are switched off. What is to be done is in the table, so that a restart
 * of the dashboard changes nothing; only failures are forgotten then, and tried once more.
 */
import type { Rollout } from "../../contracts/image.ts";
import { isOpenJob, type Job } from "../../contracts/job.ts";
import type { App } from "../app.ts";
import type { Change } from "../bus.ts";
import type { MachineRow, RolloutRow } from "../db/schema.ts";
import { listHypervisorRows } from "../hypervisors/service.ts";
import { collectVersions } from "./gc.ts";
import { reasonToWait } from "./rollout_reasons.ts";
import { inTurn } from "./turns.ts";
import { nameOf, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

/** Overlays are made in milliseconds; what takes time is switching machines off. */
const batchSize = 16;
const collectMs = 100;

/** A clone that is still on another version. */
export interface Pending {
  machine: MachineRow;
  leaseId: string | null;
  /** Null: it can be moved now. */
  reason: string | null;
}

export class Rollouts {
  /** Machine id -> why it could not be moved, by initial. */
  readonly #failures = new Map<string, Map<string, string>>();
  /** Open jobs of ours: `initial hypervisor` -> job. */
  readonly #moving = new Map<string, string>();
  /** Hypervisors, whether they could be reached when they were last heard of. */
  readonly #usable = new Map<string, boolean>();
  /** What was told of each rollout last: most changes of machines change nothing about it. */
  readonly #told = new Map<string, string>();
  readonly #work = new Set<Promise<unknown>>();
  readonly #unsubscribe: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** Whether there is any rollout at all. */
  #active = false;

  constructor(private readonly app: App) {
    this.#unsubscribe = app.bus.subscribe((change) => this.#onChange(change));
  }

  /** Goes on with what was going on when the dashboard ended. */
  start(): void {
    this.#active = true;
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unsubscribe();
    await Promise.allSettled([...this.#work]);
  }

  /** A new rollout of the initial begins: what failed in an earlier one does not matter. */
  begin(initialId: string): void {
    this.#failures.delete(initialId);
    this.#active = true;
  }

  /** As the API shows it. */
  async render(row: RolloutRow): Promise<Rollout> {
    const pending = await this.pending(row);
    return {
      versionId: row.version_id,
      mode: row.mode,
      startedAt: row.started_at,
      endsSessionsAt: row.ends_sessions_at,
      total: Math.max(row.total, pending.length),
      moved: Math.max(0, row.total - pending.length),
      waiting: pending.map(({ machine: { id, name }, reason }) => ({
        machineId: id,
        name,
        reason: reason ?? "it is its turn soon",
      })),
    };
  }

  /** The clones that have not moved yet, with what they wait for. */
  async pending(row: RolloutRow): Promise<Pending[]> {
    const { app } = this;
    const clones = (await store.findClones(app.db, [row.initial_id]))
      .filter((clone) => clone.version_id !== row.version_id || clone.populated_at === null);
    const leases = await store.findLeasesOn(app.db, clones.map(({ id }) => id));
    const names = new Map((await listHypervisorRows(app)).map(({ id, name }) => [id, name]));
    const holds = app.jobs.holds();
    const failures = this.#failures.get(row.initial_id);
    return clones.map((machine) => {
      const domain = app.agents.domain(machine.id, machine.hypervisor_id)?.domain;
      const lease = leases.get(machine.id);
      const hypervisor = {
        name: names.get(machine.hypervisor_id) ?? "",
        usable: app.agents.status(machine.hypervisor_id).usable,
      };
      const reason = reasonToWait({
        state: domain?.state ?? null,
        hypervisor,
        username: lease?.username ?? null,
        kept: machine.kept_for_user_id !== null,
        held: holds.has(machine.id),
        maintenance: machine.maintenance === 1,
        viewers: domain?.viewers.length ?? 0,
        failure: failures?.get(machine.id) ?? null,
      });
      return { machine, leaseId: lease?.id ?? null, reason };
    });
  }

  /** Moves what can be moved now, ends the rollout when nothing is left; returns the jobs that were started. */
  advance(initialId: string): Promise<Job[]> {
    return inTurn(this.app, `rollout ${initialId}`, async () => {
      const row = await store.findRollout(this.app.db, initialId);
      if (!row || this.#closed) return [];
      const pending = await this.pending(row);
      if (pending.length === 0) {
        await this.#finish(initialId);
        return [];
      }
      const ready = pending.filter(({ reason }) => reason === null).map(({ machine }) => machine);
      const jobs: Job[] = [];
      for (const [hypervisorId, machines] of Map.groupBy(ready, (machine) => machine.hypervisor_id)) {
        const job = await this.#move(row, hypervisorId, machines.slice(0, batchSize));
        if (job) jobs.push(job);
      }
      return jobs;
    });
  }

  async #finish(initialId: string): Promise<void> {
    await store.removeRollout(this.app.db, initialId);
    this.#failures.delete(initialId);
    this.#told.delete(initialId);
    tellImage(this.app, initialId);
    this.#background(collectVersions(this.app, [initialId]));
  }

  /** One batch at a time on each hypervisor. While it is begun nobody is given one of the machines. */
  async #move(row: RolloutRow, hypervisorId: string, machines: MachineRow[]): Promise<Job | null> {
    const { app } = this;
    const key = `${row.initial_id} ${hypervisorId}`;
    if (this.#moving.has(key)) return null;
    const { version, initial } = await requireVersionAndInitial(app, row.version_id);
    const job = await app.broker.withoutGiving(async () => {
      const leases = await store.findLeasesOn(app.db, machines.map(({ id }) => id));
      const holds = app.jobs.holds();
      const free = machines.filter(({ id }) => !leases.has(id) && !holds.has(id));
      if (free.length === 0) return null;
      return await app.jobs.start({
        kind: "populate",
        subject: { id: null, name: `${free.length} machines to ${nameOf(initial, version)}` },
        by: null,
        machineIds: free.map(({ id }) => id),
        input: { powerOff: true },
        progress: { stage: "moving", total: free.length, unit: "items" },
      });
    });
    if (!job) return null;
    this.#moving.set(key, job.id);
    this.#background(this.#follow(row.initial_id, key, job.id));
    return job;
  }

  async #follow(initialId: string, key: string, jobId: string): Promise<void> {
    const ended = await this.app.jobs.ended(jobId, this.app.signal).catch(() => null);
    this.#moving.delete(key);
    if (!ended || this.#closed) return;
    const failures = this.#failures.get(initialId) ?? new Map<string, string>();
    for (const { id, ok, message } of ended.items) {
      if (!ok) failures.set(id, message ?? "it could not be moved.");
    }
    if (failures.size > 0) this.#failures.set(initialId, failures);
    tellImage(this.app, initialId);
    this.#schedule();
  }

  #onChange(change: Change): void {
    if (!this.#active) return;
    if (change.type === "job" && isOpenJob(change.job)) return;
    if (change.type === "hypervisor") {
      if (change.load) return;
      this.#noteHypervisor(change.id);
    }
    if (["machines", "machine-removed", "lease", "hypervisor", "job"].includes(change.type)) this.#schedule();
  }

  /** One that is back may have been what was missing. */
  #noteHypervisor(id: string): void {
    const { usable } = this.app.agents.status(id);
    if (usable && this.#usable.get(id) === false) this.#failures.clear();
    this.#usable.set(id, usable);
  }

  /** Looks again soon; many changes at once are looked at once. */
  #schedule(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#background(this.#advanceAll());
    }, collectMs);
  }

  async #advanceAll(): Promise<void> {
    const rows = await store.findRollouts(this.app.db);
    this.#active = rows.length > 0;
    for (const row of rows) {
      if (!this.#isPublishing(row.initial_id)) await this.advance(row.initial_id);
      const waiting = JSON.stringify((await this.render(row)).waiting);
      if (this.#told.get(row.initial_id) !== waiting) tellImage(this.app, row.initial_id);
      this.#told.set(row.initial_id, waiting);
    }
  }

  /** Then its job does it. */
  #isPublishing(initialId: string): boolean {
    return this.app.jobs.listOpen().some((job) => job.kind === "publish" && job.subjectId === initialId);
  }

  #background(work: Promise<unknown>): void {
    const tracked = work
      .catch((error) => {
        if (!this.app.signal.aborted) this.app.log.error({ err: error }, "a rollout could not go on");
      })
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}
