/**
 * Keeps the pools' machines ready: spares at any time, more or fewer by the schedule. After a `shut-down-idle` a pool
 * sleeps, spares included, until its next `start` or until somebody asks for a desktop of it. What is due follows from
 * the schedule and the leases, so that a restart of the dashboard changes nothing.
 */
import type { PoolScheduleEntry } from "../../contracts/desktop_pool.ts";
import type { App } from "../app.ts";
import { lastRun, runsBetween } from "./schedule_times.ts";
import { beginShutDownIdle, beginStart } from "./scheduled_jobs.ts";
import { Spares } from "./spares.ts";
import { hasLeaseSince, readTendedPools, type TendedPool } from "./store.ts";

/** How long changes are collected. */
const collectMs = 250;
const tickMs = 15_000;
/** What was missed for so long while the dashboard was away is made up for. */
const catchUpMs = 10 * 60_000;

export class PoolKeeper {
  #spares: Spares;
  #round: Promise<void> = Promise.resolve();
  #soon: ReturnType<typeof setTimeout> | undefined;
  #tick: ReturnType<typeof setInterval> | undefined;
  #unsubscribe: () => void = () => {};
  #lookedAt: number;

  constructor(private readonly app: App) {
    this.#spares = new Spares(app);
    this.#lookedAt = app.now() - catchUpMs;
  }

  start(): void {
    this.#unsubscribe = this.app.bus.subscribe((change) => {
      if (change.type === "hypervisor" && change.load) return;
      if (!["machines", "lease", "desktop-pool", "hypervisor"].includes(change.type)) return;
      this.#soon ??= setTimeout(() => {
        this.#soon = undefined;
        void this.look();
      }, collectMs);
    });
    this.#tick = setInterval(() => void this.look(), tickMs);
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#soon);
    clearInterval(this.#tick);
    await this.#spares.stop();
    await this.#round;
  }

  /** Does what is due now. */
  look(): Promise<void> {
    this.#round = this.#round.then(() => this.#look()).catch((error) => {
      this.app.log.error({ err: error }, "desktop pools could not be kept ready");
    });
    return this.#round;
  }

  async #look(): Promise<void> {
    const [from, now] = [this.#lookedAt, this.app.now()];
    this.#lookedAt = now;
    for (const pool of await readTendedPools(this.app.db)) {
      for (const { entry } of runsBetween(pool.schedule, from, now)) await this.#carryOut(pool, entry);
      if (pool.spares > 0 && !await this.#sleeps(pool, now)) await this.#spares.fill(pool, pool.spares);
    }
  }

  async #carryOut(pool: TendedPool, { action, count }: PoolScheduleEntry): Promise<void> {
    if (action === "start") await beginStart(this.app, pool, count);
    else await beginShutDownIdle(this.app, pool);
  }

  async #sleeps(pool: TendedPool, now: number): Promise<boolean> {
    const last = lastRun(pool.schedule, now);
    if (last?.entry.action !== "shut-down-idle") return false;
    return !await hasLeaseSince(this.app.db, pool.id, last.at);
  }
}
