/** Warm spares: machines of a pool that are started and free, for who comes next. */
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { type Candidate, choose, conditionOf, type PlacementContext } from "../broker/placement.ts";
import { startMachine } from "../machines/power.ts";
import type { TendedPool } from "./store.ts";

/** A machine that failed to start is left alone this long, longer with each time. */
const backOffMs = 60_000;
const longestBackOffMs = 30 * 60_000;

export class Spares {
  /** Machine id -> pool id. */
  #starting = new Map<string, string>();
  #failures = new Map<string, { count: number; until: number }>();
  #work = new Set<Promise<void>>();
  #stop = new AbortController();

  constructor(private readonly app: App) {}

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException("The dashboard is shutting down.", "AbortError"));
    await Promise.all(this.#work);
  }

  /** Starts what a pool lacks; returns at once. Only so many as there is room for. */
  async fill(pool: TendedPool, target: number): Promise<void> {
    const members = await this.app.broker.roster.members(pool.id);
    const context = await this.app.broker.context(pool);
    const ready =
      [...members.values()].filter((machine) =>
        machine.state === "running" && conditionOf(machine, context) === "free"
      ).length;
    const starting = [...this.#starting.values()].filter((id) => id === pool.id).length;
    for (
      const machine of pickOff(this.app, members, context, target - ready - starting, this.#untouchable())
    ) {
      this.#start(pool, machine);
    }
  }

  /** What must not be tried now. */
  #untouchable(): Set<string> {
    const now = this.app.now();
    const failed = [...this.#failures].filter(([, { until }]) => until > now).map(([id]) => id);
    return new Set([...this.#starting.keys(), ...failed]);
  }

  #start(pool: TendedPool, { machineId, name }: Candidate): void {
    const { app } = this;
    this.#starting.set(machineId, pool.id);
    const work: Promise<void> = startMachine(app, machineId, { priority: "spare", signal: this.#stop.signal })
      .then(() => void this.#failures.delete(machineId))
      .catch((error) => {
        if (this.#stop.signal.aborted) return;
        this.#backOff(machineId, error);
        app.log.warn({ err: error, machine: name, pool: pool.name }, "a spare desktop could not be started");
      })
      .finally(() => {
        app.room.release(machineId, "start");
        this.#starting.delete(machineId);
        this.#work.delete(work);
      });
    this.#work.add(work);
  }

  #backOff(machineId: string, error: unknown): void {
    const count = (this.#failures.get(machineId)?.count ?? 0) + 1;
    const until = this.app.now() + Math.min(longestBackOffMs, backOffMs * 2 ** (count - 1));
    this.#failures.set(machineId, { count, until });
    const isOurs = error instanceof AppError &&
      ["no_capacity", "unavailable", "conflict"].includes(error.code);
    if (!isOurs) this.app.broker.noteFailure(machineId);
  }
}

/**
 * The best of a pool's machines that are off, at most `count`, with room promised to each so that the next is chosen as
 * if it ran. Whoever starts them lets go of the promise (`start`).
 */
export function pickOff(
  app: Pick<App, "room">,
  members: ReadonlyMap<string, Candidate>,
  context: PlacementContext,
  count: number,
  except: ReadonlySet<string> = new Set(),
): Candidate[] {
  const picked: Candidate[] = [];
  const off = new Map([...members].filter(([id, { state }]) => state === "shut-off" && !except.has(id)));
  while (picked.length < count) {
    const choice = choose(off.values(), context);
    if (choice.kind !== "free") break;
    const { machine } = choice;
    off.delete(machine.machineId);
    app.room.promise(machine.machineId, machine.hypervisorId, machine, "start");
    picked.push(machine);
  }
  return picked;
}
