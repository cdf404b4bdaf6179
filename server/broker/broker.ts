/**
 * Gives machines to users. One decision is made at a time, from the roster in memory; then one transaction checks user,
 * pool and machine again and writes the lease. The unique indexes on leases are the last guard.
 */
import { AppError } from "../../contracts/errors.ts";
import type { PoolCounts } from "../../contracts/desktop_pool.ts";
import type { App } from "../app.ts";
import { isUniqueViolation } from "../db/open.ts";
import type { Db } from "../db/schema.ts";
import {
  type Candidate,
  type Choice,
  choose,
  countConditions,
  explainRefusal,
  type Surroundings,
} from "./placement.ts";
import { Roster } from "./roster.ts";
import { type Entitlement, insertLease, isFree, moveLease, readEntitlement } from "./store.ts";

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

  /** What `give` would do now, without doing it. @throws {AppError} `not_found` */
  async explain(desktopPoolId: string, userId: string): Promise<Choice> {
    const members = await this.roster.members(desktopPoolId);
    const around = await this.roster.surroundings();
    const entitlement = await requireEntitlement(this.app.db, desktopPoolId, userId);
    if (entitlement.user) return this.#choose(members, around, entitlement, entitlement.own);
    const explanation = `This user is not entitled to ${entitlement.pool.name}, or is disabled.`;
    return { kind: "refused", counts: {}, explanation };
  }

  async #give({ desktopPoolId, userId, terminal }: MachineRequest): Promise<Given> {
    const id = crypto.randomUUID();
    const startedAt = this.app.now();
    const insert: Write = async (trx, { pool, user }, { machineId, name, state }, explanation) => {
      const ready = state === "running";
      const machine = { id: machineId, name };
      await insertLease(trx, {
        id,
        user,
        desktopPool: pool,
        machine,
        ready,
        terminal,
        explanation,
        startedAt,
      });
    };
    const choice = await this.#allot(desktopPoolId, userId, new Set(), "own too", insert);
    if (choice.kind === "refused") throw new AppError("no_capacity", choice.explanation);
    if (choice.kind === "own") return { kind: "own", leaseId: choice.leaseId };
    return { kind: "new", leaseId: id, machine: choice.machine };
  }

  async #replace(lease: { id: string; desktopPoolId: string; userId: string }, failedMachineId: string) {
    const move: Write = async (trx, _, { machineId, name }, explanation) => {
      await moveLease(trx, lease.id, { id: machineId, name }, explanation);
    };
    const { desktopPoolId, userId } = lease;
    const choice = await this.#allot(desktopPoolId, userId, new Set([failedMachineId]), "another", move);
    return choice.kind === "free" ? choice.machine : null;
  }

  /**
   * Chooses, checks again and writes in one transaction. What turns out not to be free is left out in the next round,
   * so that the end is a machine or a true refusal.
   */
  async #allot(
    desktopPoolId: string,
    userId: string,
    except: Set<string>,
    which: "own too" | "another",
    write: Write,
  ): Promise<Choice> {
    for (;;) {
      const members = await this.roster.members(desktopPoolId);
      const around = await this.roster.surroundings();
      let chosen = "";
      try {
        const choice = await this.app.db.transaction().execute(async (trx) => {
          const entitlement = await requireEntitlement(trx, desktopPoolId, userId);
          const { pool, user } = entitlement;
          if (!user) throw notEntitled();
          const own = which === "another" ? null : entitlement.own;
          const choice = this.#choose(members, around, entitlement, own, except);
          if (choice.kind !== "free") return choice;
          chosen = choice.machine.machineId;
          if (!await isFree(trx, desktopPoolId, chosen)) return null;
          await write(trx, { pool, user }, choice.machine, choice.explanation);
          return choice;
        });
        if (choice) return choice;
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
      } finally {
        if (chosen !== "") this.roster.touch([chosen]);
      }
      except.add(chosen);
    }
  }

  #choose(
    members: ReadonlyMap<string, Candidate>,
    around: Surroundings,
    { pool }: Entitlement,
    own: Entitlement["own"],
    except?: ReadonlySet<string>,
  ): Choice {
    const doubtful = this.#doubtful();
    return choose(members.values(), {
      ...around,
      poolName: pool.name,
      poolEnabled: pool.enabled,
      own,
      doubtful,
      except,
    });
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

type Write = (
  trx: Db,
  to: { pool: Entitlement["pool"]; user: NonNullable<Entitlement["user"]> },
  machine: Candidate,
  explanation: string,
) => Promise<void>;

async function requireEntitlement(db: Db, desktopPoolId: string, userId: string): Promise<Entitlement> {
  const entitlement = await readEntitlement(db, desktopPoolId, userId);
  if (entitlement) return entitlement;
  throw new AppError("not_found", "This desktop pool does not exist any more.");
}

export const notEntitled = () =>
  new AppError("forbidden", "You are not entitled to this desktop pool. Ask your administrator.");
