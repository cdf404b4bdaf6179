/** The desktops that are being prepared: one task each, with a time limit and a second machine if the first one fails. */
import { AppError, type ErrorInfo, errorInfoOf } from "../../contracts/errors.ts";
import type { z } from "zod";
import type { App } from "../app.ts";
import { prepareDataDisk } from "../data_disks/service.ts";
import type { BootTimes } from "../starts/guest_agents.ts";
import { keepUntil } from "./lost.ts";
import { prepareMachine } from "./prepare.ts";
import { type LeaseDetail, readLease, updateActive } from "./store.ts";

/** What the owner of the leases is told. */
export interface PreparationListener {
  /** Another stage. */
  onStage(lease: LeaseDetail): void;
  /** Another machine than `failedMachineId`, which could not be started. */
  onMove(lease: LeaseDetail, failedMachineId: string): void;
  onReady(lease: LeaseDetail): void;
  onFailure(lease: LeaseDetail, error: z.infer<typeof ErrorInfo>): Promise<void>;
}

/** The reason of a preparation's signal when nobody wants the desktop any more. */
const abandoned = new DOMException("The lease has ended.", "AbortError");

export class Preparations {
  #running = new Map<string, { abort: AbortController; done: Promise<void> }>();

  constructor(
    private readonly app: App,
    private readonly times: BootTimes,
    private readonly listener: PreparationListener,
  ) {}

  /** Abandons all, without touching their leases. */
  async stop(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort(abandoned);
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  begin(lease: LeaseDetail): void {
    const abort = new AbortController();
    const before = this.#running.get(lease.id)?.done ?? Promise.resolve();
    const done: Promise<void> = before.then(() => this.#run(lease, abort.signal))
      .catch((error) => this.app.log.error({ err: error, lease: lease.id }, "preparing a desktop failed"))
      .finally(() => {
        if (this.#running.get(lease.id)?.done === done) this.#running.delete(lease.id);
      });
    this.#running.set(lease.id, { abort, done });
  }

  abandon(leaseId: string): void {
    this.#running.get(leaseId)?.abort.abort(abandoned);
  }

  async #run(lease: LeaseDetail, given: AbortSignal): Promise<void> {
    const seconds = this.app.settings.current().desktopStartSeconds;
    using limit = new TimeLimit(seconds * this.times.secondMs);
    try {
      await this.#prepareOnSomeMachine(lease, AbortSignal.any([given, limit.signal]), limit);
      const ready = { state: "ready", stage: "ready", ready_at: this.app.now() } as const;
      if (await updateActive(this.app.db, lease.id, ready)) this.listener.onReady(lease);
    } catch (error) {
      if (given.aborted) return;
      const name = lease.machine?.name ?? lease.desktopPoolName;
      this.app.log.warn({ err: error, lease: lease.id, machine: name }, "a desktop could not be prepared");
      const message = `${name} was not ready after ${seconds} s. Try again, or ask your administrator.`;
      const info = limit.signal.aborted
        ? { code: "hypervisor_failed" as const, message }
        : errorInfoOf(error);
      await this.listener.onFailure(lease, info);
    }
  }

  /** A machine that cannot be started is replaced by another one, once. */
  async #prepareOnSomeMachine(lease: LeaseDetail, signal: AbortSignal, limit: TimeLimit): Promise<void> {
    try {
      await this.#prepareMachine(lease, signal, limit);
    } catch (error) {
      const { id, userId, desktopPoolId, machine } = lease;
      if (signal.aborted || !machine || !userId || !desktopPoolId) throw error;
      this.app.log.warn(
        { err: error, machine: machine.name },
        "a desktop could not be started; trying another",
      );
      // The user has worked on it before: what is there is not for somebody else.
      const keep = lease.readyAt === null ? null : keepUntil(this.app);
      if (!await this.app.broker.replace({ id, userId, desktopPoolId }, machine.id, keep)) throw error;
      Object.assign(lease, await readLease(this.app.db, id));
      this.listener.onMove(lease, machine.id);
      await this.#prepareMachine(lease, signal, limit);
    }
  }

  async #prepareMachine(lease: LeaseDetail, signal: AbortSignal, limit: TimeLimit): Promise<void> {
    const { machine } = lease;
    signal.throwIfAborted();
    if (!machine) throw new AppError("not_found", "The machine of this desktop was deleted.");
    // Waiting for one's turn is no failure of the machine: the time runs from its start.
    limit.pause();
    await prepareMachine(this.app, machine, this.times, signal, {
      beforeStart: () => this.#prepareDataDisk(lease, machine, signal),
      report: async (stage) => {
        limit.go();
        if (await updateActive(this.app.db, lease.id, { stage })) this.listener.onStage(lease);
      },
    });
  }

  /** A desktop without its data disk is better than none; its user is told. */
  async #prepareDataDisk(
    lease: LeaseDetail,
    machine: NonNullable<LeaseDetail["machine"]>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await prepareDataDisk(this.app, lease, machine, signal);
      if (lease.error !== null) await updateActive(this.app.db, lease.id, { error: null });
      lease.error = null;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "unavailable" || signal.aborted) throw error;
      this.app.agents.of(machine.hypervisorId);
      lease.error = { code: "unavailable", message: `Your data disk is not there: ${error.message}` };
      if (await updateActive(this.app.db, lease.id, { error: JSON.stringify(lease.error) })) {
        this.listener.onStage(lease);
      }
    }
  }
}

/** A time limit that can stand still. */
class TimeLimit implements Disposable {
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly signal = this.#abort.signal;

  constructor(private readonly limitMs: number) {}

  go(): void {
    this.#timer ??= setTimeout(
      () => this.#abort.abort(new DOMException("Time is up.", "TimeoutError")),
      this.limitMs,
    );
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.pause();
  }
}
