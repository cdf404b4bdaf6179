/**
 * Gives machines to users. One decision is made at a time, from the roster in memory; then one transaction checks user,
 * pool and machine again and writes the lease. The unique indexes on leases are the last guard.
 */
import { AppError } from "../../contracts/errors.ts";
import type { PoolCounts } from "../../contracts/desktop_pool.ts";
import type { App } from "../app.ts";
import { isUniqueViolation } from "../db/open.ts";
import {
  type Candidate,
  type Choice,
  choose,
  countConditions,
  explainRefusal,
  type PlacementContext,
} from "./placement.ts";
import { Roster } from "./roster.ts";
import { insertLease, isFree, moveLease, readEntitlement, readOwnLease } from "./store.ts";

/** A machine that failed to start is avoided this long, if there is another. */
const doubtMs = 10 * 60_000;

export interface MachineRequest {
  desktopPoolId: string;
  userId: string;
  terminal: string | null;
}
export type Given =
  | { kind: "own"; leaseId: string }
  | { kind: "new"; leaseId: string; machine: Candidate };

export class Broker {
  readonly roster: Roster;
  #turn: Promise<unknown> = Promise.resolve();
  /** Machine id -> when it failed to start, Unix ms. */
  #failures = new Map<string, number>();

  constructor(private readonly app: Pick<App, "db" | "bus" | "agents" | "jobs" | "now" | "log">) {
    this.roster = new Roster(app);
  }

  close(): void {
    this.roster.close();
  }

  counts(desktopPoolId: string): Promise<PoolCounts> {
    return this.roster.counts(desktopPoolId);
  }

  /**
   * Gives the user's own desktop in the pool again, else a free machine.
   * @throws {AppError} `not_found`, `forbidden` without entitlement, `no_capacity` with the reasons
   */
  give(request: MachineRequest): Promise<Given> {
    return this.#inTurn(() => this.#give(request));
  }

  /** Gives an active lease another machine in place of one that failed; null when none is free. */
  replace(lease: { id: string; desktopPoolId: string; userId: string }, failedMachineId: string) {
    this.#failures.set(failedMachineId, this.app.now());
    return this.#inTurn(() => this.#replace(lease, failedMachineId))
      .finally(() => this.roster.touch([failedMachineId]));
  }

  /** Why nobody can get a desktop of the pool now, for people. */
  async explainLack(pool: { id: string; name: string; enabled: boolean }): Promise<string> {
    const members = await this.roster.members(pool.id);
    const counts = countConditions(members.values(), await this.roster.surroundings());
    return explainRefusal({ poolName: pool.name, poolEnabled: pool.enabled }, counts);
  }

  /** What `give` would do now, without doing it. */
  async explain(desktopPoolId: string, userId: string): Promise<Choice> {
    const { pool, user } = await this.#requirePool(desktopPoolId, userId);
    if (!user) {
      const explanation = `This user is not entitled to ${pool.name}, or is disabled.`;
      return { kind: "refused", counts: {}, explanation };
    }
    return await this.#choose(pool, await readOwnLease(this.app.db, desktopPoolId, userId) ?? null);
  }

  async #give({ desktopPoolId, userId, terminal }: MachineRequest): Promise<Given> {
    const except = new Set<string>();
    for (;;) {
      const { pool, user } = await this.#requirePool(desktopPoolId, userId);
      if (!user) throw notEntitled();
      const own = await readOwnLease(this.app.db, desktopPoolId, userId) ?? null;
      const choice = await this.#choose(pool, own, except);
      if (choice.kind === "own") return { kind: "own", leaseId: choice.leaseId };
      if (choice.kind === "refused") throw new AppError("no_capacity", choice.explanation);
      const { machine, explanation } = choice;
      const leaseId = crypto.randomUUID();
      const given = await this.#commit(desktopPoolId, userId, machine, (trx, named) =>
        insertLease(trx, {
          id: leaseId,
          user: named.user,
          desktopPool: named.pool,
          machine: { id: machine.machineId, name: machine.name },
          ready: machine.state === "running",
          terminal,
          explanation,
          startedAt: this.app.now(),
        }));
      if (given) return { kind: "new", leaseId, machine };
      except.add(machine.machineId);
    }
  }

  async #replace(lease: { id: string; desktopPoolId: string; userId: string }, failedMachineId: string) {
    const except = new Set([failedMachineId]);
    for (;;) {
      const { pool } = await this.#requirePool(lease.desktopPoolId, lease.userId);
      const choice = await this.#choose(pool, null, except);
      if (choice.kind !== "free") return null;
      const { machine, explanation } = choice;
      const named = { id: machine.machineId, name: machine.name };
      let active = true;
      const given = await this.#commit(lease.desktopPoolId, lease.userId, machine, async (trx) => {
        active = await moveLease(trx, lease.id, named, explanation);
      });
      if (!active) return null;
      if (given) return machine;
      except.add(machine.machineId);
    }
  }

  /** One transaction: everything is checked again, then `write`. False: the machine is not free any more. */
  async #commit(
    desktopPoolId: string,
    userId: string,
    machine: Candidate,
    write: (trx: App["db"], named: { user: NamedUser; pool: { id: string; name: string } }) => Promise<void>,
  ): Promise<boolean> {
    try {
      return await this.app.db.transaction().execute(async (trx) => {
        const entitlement = await readEntitlement(trx, desktopPoolId, userId);
        if (!entitlement?.user) throw notEntitled();
        if (!entitlement.pool.enabled || !await isFree(trx, desktopPoolId, machine.machineId)) return false;
        await write(trx, { user: entitlement.user, pool: entitlement.pool });
        return true;
      });
    } catch (error) {
      if (isUniqueViolation(error)) return false;
      throw error;
    } finally {
      this.roster.touch([machine.machineId]);
    }
  }

  async #choose(
    pool: { id: string; name: string; enabled: boolean },
    own: PlacementContext["own"],
    except?: ReadonlySet<string>,
  ): Promise<Choice> {
    const context: PlacementContext = {
      poolName: pool.name,
      poolEnabled: pool.enabled,
      own,
      ...await this.roster.surroundings(),
      doubtful: this.#doubtful(),
      except,
    };
    return choose((await this.roster.members(pool.id)).values(), context);
  }

  async #requirePool(desktopPoolId: string, userId: string) {
    const entitlement = await readEntitlement(this.app.db, desktopPoolId, userId);
    if (entitlement) return entitlement;
    throw new AppError("not_found", "This desktop pool does not exist any more.");
  }

  #doubtful(): Set<string> {
    const since = this.app.now() - doubtMs;
    for (const [id, failedAt] of this.#failures) if (failedAt < since) this.#failures.delete(id);
    return new Set(this.#failures.keys());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

type NamedUser = { id: string; username: string };

export const notEntitled = () =>
  new AppError("forbidden", "You are not entitled to this desktop pool. Ask your administrator.");
