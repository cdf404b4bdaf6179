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
  type PlacementContext,
  type Surroundings,
} from "./placement.ts";
import { type PlacementReason, reasonsOf } from "./reasons.ts";
import { Roster } from "./roster.ts";
import {
  endLease,
  type Entitlement,
  insertLease,
  keepMachine,
  moveLease,
  readEntitlement,
  takeFree,
} from "./store.ts";

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

export interface ActiveLease {
  id: string;
  desktopPoolId: string;
  userId: string;
}
/** A lease whose machine is out of reach. */
export interface LostLease {
  id: string;
  machineId: string;
  /** For people: why it ends. */
  reason: string;
  /** Unix ms: until then the machine is kept for its user; null: it is not. */
  keepUntil: number | null;
}
export interface Why {
  explanation: string;
  reasons: PlacementReason[];
}
type Allotment = Choice & Why;

export class Broker {
  readonly roster: Roster;
  #turn: Promise<unknown> = Promise.resolve();
  /** Machine id -> when it failed to start, Unix ms. */
  #failures = new Map<string, number>();

  constructor(
    private readonly app: Pick<App, "db" | "bus" | "agents" | "jobs" | "now" | "log" | "room">,
    /** Where a user's personal data disk lies. */
    private readonly dataHypervisorOf: (userId: string) => Promise<string | null>,
  ) {
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
    return this.#inTurn(() => this.#give(request, null));
  }

  /**
   * Ends a lease whose machine is out of reach and gives its user another machine, both or neither.
   * @throws {AppError} as `give`
   */
  giveInstead(request: MachineRequest, lost: LostLease): Promise<Given> {
    return this.#inTurn(() => this.#give(request, lost)).finally(() => this.roster.touch([lost.machineId]));
  }

  /**
   * Gives an active lease another machine in place of one that failed; null when none is free.
   * @param keepUntil Unix ms: until then the failed one is kept for its user; null: it is not
   */
  replace(lease: ActiveLease, failedMachineId: string, keepUntil: number | null): Promise<Candidate | null> {
    this.noteFailure(failedMachineId);
    return this.#inTurn(() => this.#replace(lease, failedMachineId, keepUntil))
      .finally(() => this.roster.touch([failedMachineId]));
  }

  /** A machine could not be started: others are preferred for a while. */
  noteFailure(machineId: string): void {
    this.#failures.set(machineId, this.app.now());
  }

  /** Does something while no machine is given to anybody. */
  withoutGiving<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(work);
  }

  /** Why nobody can get a desktop of the pool now, for people. */
  async explainLack(pool: { id: string; name: string; enabled: boolean }): Promise<string> {
    const members = await this.roster.members(pool.id);
    return choose(members.values(), await this.context(pool)).explanation;
  }

  /** The whole pool with what surrounds it, as for a user without anything; nothing is reserved. */
  async context(pool: { name: string; enabled: boolean }): Promise<PlacementContext> {
    const around = await this.roster.surroundings();
    return {
      ...around,
      poolName: pool.name,
      poolEnabled: pool.enabled,
      userId: null,
      own: null,
      doubtful: this.#doubtful(),
    };
  }

  /** What `give` would do now, without doing it; with how every member stands. @throws {AppError} `not_found` */
  async explain(desktopPoolId: string, userId: string): Promise<Allotment> {
    const members = await this.roster.members(desktopPoolId);
    const around = await this.roster.surroundings();
    const entitlement = await requireEntitlement(this.app.db, desktopPoolId, userId);
    if (!entitlement.user) {
      const explanation = `This user is not entitled to ${entitlement.pool.name}, or is disabled.`;
      return { kind: "refused", counts: {}, explanation, reasons: [] };
    }
    const dataHypervisorId = entitlement.pool.dataDisk === "user"
      ? await this.dataHypervisorOf(userId)
      : null;
    const context = this.#contextFor(entitlement, userId, around, dataHypervisorId);
    const choice = choose(members.values(), context);
    return { ...choice, reasons: reasonsOf(members.values(), choice, context, members.size) };
  }

  async #give({ desktopPoolId, userId, terminal }: MachineRequest, lost: LostLease | null): Promise<Given> {
    const id = crypto.randomUUID();
    const startedAt = this.app.now();
    const insert: Write = async (trx, { pool, user, attachedDisk }, { machineId, name, state }, why) => {
      if (lost) await endLost(trx, lost, userId, startedAt);
      // A user's disk is attached first, and what another user has left is taken off.
      const hasRightDisk = pool.dataDisk !== "user" && attachedDisk !== "user" &&
        (pool.dataDisk === null || attachedDisk === "machine");
      const ready = state === "running" && hasRightDisk;
      const machine = { id: machineId, name };
      await insertLease(trx, {
        id,
        user,
        desktopPool: pool,
        machine,
        ready,
        terminal,
        ...why,
        startedAt,
      });
    };
    const which = lost ? "another" : "own too";
    const except = new Set(lost ? [lost.machineId] : []);
    const choice = await this.#allot(desktopPoolId, userId, except, which, insert);
    if (choice.kind === "refused") throw new AppError("no_capacity", choice.explanation);
    if (choice.kind === "own") return { kind: "own", leaseId: choice.leaseId };
    return { kind: "new", leaseId: id, machine: choice.machine };
  }

  async #replace(lease: ActiveLease, failedMachineId: string, keepUntil: number | null) {
    const { desktopPoolId, userId } = lease;
    const move: Write = async (trx, _, { machineId, name }, why) => {
      await moveLease(trx, lease.id, { id: machineId, name }, why);
      if (keepUntil !== null) await keepMachine(trx, failedMachineId, { userId, until: keepUntil });
    };
    const choice = await this.#allot(desktopPoolId, userId, new Set([failedMachineId]), "another", move);
    if (choice.kind !== "free") return null;
    this.app.room.release(failedMachineId, "lease");
    return choice.machine;
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
    let dataHypervisorId: string | null | undefined;
    for (;;) {
      const members = await this.roster.members(desktopPoolId);
      const around = await this.roster.surroundings();
      let chosen = "";
      try {
        const choice = await this.app.db.transaction().execute(async (trx) => {
          const entitlement = await requireEntitlement(trx, desktopPoolId, userId);
          const { pool, user, own } = entitlement;
          if (!user) throw notEntitled();
          if (own && which === "own too") {
            return choose([], this.#contextFor(entitlement, userId, around, null));
          }
          // Looked up outside of the transaction, and only where it matters.
          if (pool.dataDisk === "user" && dataHypervisorId === undefined) return "where is the data disk?";
          const context = this.#contextFor(
            { pool, own: null },
            userId,
            around,
            dataHypervisorId ?? null,
            except,
          );
          const choice = choose(members.values(), context);
          if (choice.kind !== "free") return choice;
          chosen = choice.machine.machineId;
          const taken = await takeFree(trx, desktopPoolId, chosen, userId);
          if (!taken) return null;
          const reasons = reasonsOf(members.values(), choice, context);
          const why = { explanation: choice.explanation, reasons };
          await write(trx, { pool, user, ...taken }, choice.machine, why);
          return choice;
        });
        if (choice === "where is the data disk?") {
          dataHypervisorId = await this.dataHypervisorOf(userId);
          continue;
        }
        if (choice?.kind === "free") this.#promiseRoom(choice.machine);
        if (choice) return choice;
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
      } finally {
        if (chosen !== "") this.roster.touch([chosen]);
      }
      except.add(chosen);
    }
  }

  /** As long as somebody holds a machine there is room for it, whether it runs or not. */
  #promiseRoom(machine: Candidate): void {
    this.app.room.promise(machine.machineId, machine.hypervisorId, machine, "lease");
  }

  #contextFor(
    { pool, own }: Pick<Entitlement, "pool" | "own">,
    userId: string,
    around: Surroundings,
    dataHypervisorId: string | null,
    except?: ReadonlySet<string>,
  ): PlacementContext {
    return {
      ...around,
      poolName: pool.name,
      poolEnabled: pool.enabled,
      userId,
      own,
      dataHypervisorId,
      doubtful: this.#doubtful(),
      except,
    };
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
  to: {
    pool: Entitlement["pool"];
    user: NonNullable<Entitlement["user"]>;
    attachedDisk: "machine" | "user" | null;
  },
  machine: Candidate,
  why: Why,
) => Promise<void>;

/** The user's work on the lost machine is not touched: it is kept where it is. */
async function endLost(
  trx: Db,
  { id, machineId, reason, keepUntil }: LostLease,
  userId: string,
  endedAt: number,
) {
  await endLease(trx, id, reason, endedAt);
  if (keepUntil !== null) await keepMachine(trx, machineId, { userId, until: keepUntil });
}

async function requireEntitlement(db: Db, desktopPoolId: string, userId: string): Promise<Entitlement> {
  const entitlement = await readEntitlement(db, desktopPoolId, userId);
  if (entitlement) return entitlement;
  throw new AppError("not_found", "This desktop pool does not exist any more.");
}

export const notEntitled = () =>
  new AppError("forbidden", "You are not entitled to this desktop pool. Ask your administrator.");
