/**
 * Every start of a machine goes through here: paced per hypervisor, users first. A slot is held until the machine is up
 * (its guest agent answers, or as much time has passed as a boot takes), so that few guests boot at once.
 */
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import { fits } from "../hypervisors/capacity.ts";
import { shortageOf } from "../broker/reasons.ts";
import { type BootTimes, defaultBootTimes, GuestAgents } from "./guest_agents.ts";
import { type StartPriority, StartQueue } from "./queue.ts";

export type StartingMachine = Pick<MachineRow, "id" | "name" | "hypervisor_id" | "memory_mib" | "vcpus">;
export interface StartOptions {
  priority: StartPriority;
  signal?: AbortSignal;
  /** It is its turn. */
  onTurn?: () => void | Promise<void>;
}

/** Places are told to the first so many; all of a mass start would be too much. */
const toldPlaces = 50;

/** How long a hypervisor may be away before those who wait for it are told so. */
const patienceMs = 20_000;

interface Waiter {
  begin(): void;
  fail(error: unknown): void;
}

export class Starts {
  readonly guestAgents: GuestAgents;
  #queues = new Map<string, StartQueue>();
  #runs = new Map<string, { hypervisorId: string; done: Promise<void>; signal?: AbortSignal }>();
  #waiters = new Map<string, Waiter>();
  /** Of machines that boot: ends the holding of the slot. */
  #booting = new Map<string, () => void>();
  /** Hypervisors that are away, while somebody waits for them. */
  #impatience = new Map<string, ReturnType<typeof setTimeout>>();
  #stopped = new AbortController();
  #unlisten: () => void;

  constructor(
    private readonly app: Pick<App, "db" | "bus" | "agents" | "log" | "room" | "broker">,
    private readonly times: BootTimes = defaultBootTimes,
  ) {
    this.guestAgents = new GuestAgents(app);
    this.#unlisten = app.agents.listen((change) => {
      if (change.type === "status" || change.type === "load") this.#advance(change.hypervisorId);
      if (change.type === "domains") {
        for (const id of change.ids) this.#lookAt(id, change.hypervisorId);
      }
    });
  }

  /** Everybody who waits is told that it is over. */
  stop(): void {
    this.#stopped.abort(new DOMException("The dashboard is shutting down.", "AbortError"));
    this.#unlisten();
    this.guestAgents.close();
    for (const timer of this.#impatience.values()) clearTimeout(timer);
    for (const release of [...this.#booting.values()]) release();
  }

  /** How many starts of its hypervisor are before this machine's; null when it does not wait. */
  placeOf(machineId: string): number | null {
    const run = this.#runs.get(machineId);
    return run ? this.#queueOf(run.hypervisorId).placeOf(machineId) : null;
  }

  /**
   * Waits for the machine's turn, starts it, and returns once it is started; its slot is held until it is up. If somebody
   * else has it started already, that start becomes as urgent as the more urgent of the two.
   * @throws {AppError} `unavailable` while its hypervisor is, `no_capacity` when that is full; what `start` failed with;
   * the signal's reason
   */
  async run(machine: StartingMachine, options: StartOptions, start: () => Promise<void>): Promise<void> {
    const { signal, priority, onTurn } = options;
    for (;;) {
      const known = this.#runs.get(machine.id);
      if (!known) return await this.#begin(machine, options, start);
      const queue = this.#queueOf(known.hypervisorId);
      if (!queue.isStarting(machine.id)) queue.enter(machine.id, priority);
      this.#tell([machine.id]);
      await onTurn?.();
      try {
        return await orAborted(known.done, signal);
      } catch (error) {
        // Whoever began it has lost interest; we have not.
        if (!known.signal?.aborted || signal?.aborted) throw error;
      }
    }
  }

  #begin(machine: StartingMachine, options: StartOptions, start: () => Promise<void>): Promise<void> {
    const { id, hypervisor_id: hypervisorId } = machine;
    const done = this.#carryOut(machine, options, start).finally(() => this.#runs.delete(id));
    this.#runs.set(id, { hypervisorId, done, signal: options.signal });
    return done;
  }

  async #carryOut(
    machine: StartingMachine,
    { priority, signal, onTurn }: StartOptions,
    start: () => Promise<void>,
  ): Promise<void> {
    const { id, hypervisor_id: hypervisorId } = machine;
    try {
      await this.#requireRoom(machine, "only look");
      await this.#turn(machine, priority, signal);
      await this.#requireRoom(machine, "and take it");
      await onTurn?.();
      signal?.throwIfAborted();
      await start();
      this.#holdUntilUp(machine);
    } catch (error) {
      this.#leave(hypervisorId, id);
      throw error;
    } finally {
      // What runs takes its room by itself now.
      this.app.room.release(id, "start");
    }
  }

  async #turn(
    { id, hypervisor_id: hypervisorId }: StartingMachine,
    priority: StartPriority,
    signal?: AbortSignal,
  ) {
    const queue = this.#queueOf(hypervisorId);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const aborted = AbortSignal.any([this.#stopped.signal, ...(signal ? [signal] : [])]);
    aborted.throwIfAborted();
    const abort = () => reject(aborted.reason);
    aborted.addEventListener("abort", abort, { once: true });
    this.#waiters.set(id, { begin: resolve, fail: reject });
    // A machine that was booting a moment ago and is off again needs a new slot.
    this.#booting.get(id)?.();
    queue.enter(id, priority);
    this.#advance(hypervisorId);
    if (queue.placeOf(id) !== null) this.#tell([id]);
    try {
      await promise;
    } finally {
      aborted.removeEventListener("abort", abort);
      this.#waiters.delete(id);
    }
  }

  #queueOf(hypervisorId: string): StartQueue {
    const queue = this.#queues.get(hypervisorId) ?? new StartQueue();
    this.#queues.set(hypervisorId, queue);
    return queue;
  }

  /** Lets begin whoever may now. */
  #advance(hypervisorId: string): void {
    const queue = this.#queues.get(hypervisorId);
    if (!queue || queue.isIdle || this.#stopped.signal.aborted) return;
    const { usable, load } = this.app.agents.status(hypervisorId);
    if (!usable) return this.#beImpatient(hypervisorId);
    clearTimeout(this.#impatience.get(hypervisorId));
    this.#impatience.delete(hypervisorId);
    const before = queue.inOrder();
    const capacity = this.app.broker.roster.capacityOf(hypervisorId);
    const taken = queue.take({
      maxStarting: capacity.maxStarting,
      startCpuPercent: capacity.startCpuPercent,
      cpuPercent: load?.cpuPercent ?? 0,
    });
    for (const id of taken) this.#waiters.get(id)?.begin();
    if (taken.length > 0 && before.length > 1) this.#tell(before);
  }

  /** A connection that is away for a moment is waited for, a hypervisor that is gone is not. */
  #beImpatient(hypervisorId: string): void {
    if (this.#impatience.has(hypervisorId)) return;
    const giveUp = () => {
      this.#impatience.delete(hypervisorId);
      const queue = this.#queueOf(hypervisorId);
      const waiting = queue.inOrder();
      for (const id of waiting) {
        queue.leave(id);
        this.#waiters.get(id)?.fail(this.#unavailable(hypervisorId));
      }
      this.#tell(waiting);
    };
    this.#impatience.set(hypervisorId, setTimeout(giveUp, patienceMs));
  }

  #unavailable(hypervisorId: string): unknown {
    try {
      this.app.agents.of(hypervisorId);
    } catch (error) {
      return error;
    }
    return new AppError("unavailable", "The hypervisor went away for a moment. Try again.");
  }

  /** Room that a lease has is there already. */
  async #requireRoom(machine: StartingMachine, then: "only look" | "and take it"): Promise<void> {
    this.app.agents.of(machine.hypervisor_id);
    const { hypervisors } = await this.app.broker.roster.surroundings();
    const { room } = this.app;
    const hypervisor = hypervisors.get(machine.hypervisor_id);
    const size = { memoryMiB: machine.memory_mib, vcpus: machine.vcpus };
    const full = hypervisor && !room.promised.has(machine.id) &&
      !fits(hypervisor.capacity, hypervisor.facts, hypervisor.taken, size);
    if (full) {
      throw new AppError(
        "no_capacity",
        `${machine.name} was not started: ${hypervisor.name} has no room for it, ${
          shortageOf(size, hypervisor)
        }. Shut something down there, or change the hypervisor's capacity.`,
      );
    }
    if (then === "and take it") room.promise(machine.id, machine.hypervisor_id, size, "start");
  }

  /** Holds the slot in the background. */
  #holdUntilUp({ id, hypervisor_id: hypervisorId }: StartingMachine): void {
    if (this.#stopped.signal.aborted) return;
    // Also where no guest agent is expected: that a boot can be watched does not make it light.
    const timer = setTimeout(() => release(), this.times.withAgentMs);
    const release = () => {
      clearTimeout(timer);
      this.#booting.delete(id);
      this.#leave(hypervisorId, id);
    };
    this.#booting.set(id, release);
    this.#lookAt(id, hypervisorId);
  }

  /** Up, dead or out of sight: the slot is free. */
  #lookAt(id: string, hypervisorId: string): void {
    const release = this.#booting.get(id);
    if (!release) return;
    const domain = this.app.agents.domain(id, hypervisorId)?.domain;
    if (domain?.state !== "running" || domain.guestAgent) release();
  }

  #leave(hypervisorId: string, id: string): void {
    this.#queues.get(hypervisorId)?.leave(id);
    this.#advance(hypervisorId);
  }

  /** Their places are others now. */
  #tell(ids: readonly string[]): void {
    if (ids.length > 0) this.app.bus.publish({ type: "machines", ids: ids.slice(0, toldPlaces) });
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
