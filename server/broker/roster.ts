/**
 * The members of each desktop pool in memory, as the broker needs them. Whatever changes a machine publishes its id on
 * the bus; only those rows are read again, and only when somebody asks. The database stays the judge: a lease is given
 * by one statement that checks everything again.
 */
import type { PoolCounts } from "../../contracts/desktop_pool.ts";
import { type Capacity, defaultCapacity } from "../../contracts/hypervisor.ts";
import type { App } from "../app.ts";
import type { Change } from "../bus.ts";
import {
  type Candidate,
  conditionOf,
  countMembers,
  type HypervisorCondition,
  type Surroundings,
} from "./placement.ts";
import { readHypervisors, readMembers } from "./store.ts";

/** More stale rows than this are read as the whole pool. */
const patchLimit = 200;

interface Pool {
  members: Map<string, Candidate>;
  /** Machines to read again; `all` before the first read and after a change of the membership. */
  stale: Set<string> | "all";
  /** The read that is under way. */
  reading: Promise<void> | null;
  counts: { of: PoolCounts; keptFor: ReadonlySet<string>; roomVersion: number } | null;
}

export class Roster {
  #pools = new Map<string, Pool>();
  #hypervisors: Awaited<ReturnType<typeof readHypervisors>> = [];
  #hypervisorsAreStale = true;
  #readingHypervisors: Promise<void> | null = null;
  #conditions: Map<string, HypervisorCondition> | null = null;
  #endings: (() => void)[];

  constructor(private readonly app: Pick<App, "db" | "bus" | "agents" | "jobs" | "room">) {
    this.#endings = [
      app.bus.subscribe((change) => this.#onChange(change)),
      app.agents.listen(({ type }) => {
        if (type === "status") this.#forgetConditions();
        // Placement wants the load of now; counts do not depend on it.
        else if (type === "load") this.#conditions = null;
      }),
    ];
  }

  close(): void {
    for (const end of this.#endings) end();
  }

  /** The members as they are now, by name. Do not keep them. */
  async members(desktopPoolId: string): Promise<ReadonlyMap<string, Candidate>> {
    const pool = this.#pool(desktopPoolId);
    // A read that is under way may have begun before this call; the next one has not.
    if (pool.reading) await pool.reading;
    if (pool.stale === "all" || pool.stale.size > 0) await (pool.reading ??= this.#read(desktopPoolId, pool));
    return pool.members;
  }

  /** How many of the members are free, in use and so on. */
  async counts(desktopPoolId: string): Promise<PoolCounts> {
    return (await this.#count(desktopPoolId)).of;
  }

  /** Whether a machine is kept for the user that could be had now. */
  async isKeptFor(desktopPoolId: string, userId: string): Promise<boolean> {
    return (await this.#count(desktopPoolId)).keptFor.has(userId);
  }

  async #count(desktopPoolId: string): Promise<NonNullable<Pool["counts"]>> {
    await this.members(desktopPoolId);
    const around = await this.surroundings();
    const pool = this.#pool(desktopPoolId);
    // A machine that starts anywhere may take the room of one that is off in this pool.
    const roomVersion = this.app.room.version;
    if (pool.counts?.roomVersion === roomVersion) return pool.counts;
    const members = [...pool.members.values()];
    const keptFor = members.flatMap((machine) => {
      const userId = machine.keptFor?.userId ?? null;
      return userId !== null && conditionOf(machine, around, userId) === "free" ? [userId] : [];
    });
    return pool.counts = { of: countMembers(members, around), keptFor: new Set(keptFor), roomVersion };
  }

  /** Every hypervisor's condition and the machines that jobs work on, as they are now. */
  async surroundings(): Promise<Surroundings> {
    if (this.#readingHypervisors) await this.#readingHypervisors;
    if (this.#hypervisorsAreStale) await (this.#readingHypervisors ??= this.#readHypervisors());
    this.#conditions ??= new Map(this.#hypervisors.map(({ id, ...row }) => {
      const { state, load, facts } = this.app.agents.status(id);
      return [id, {
        ...row,
        online: state === "online",
        cpuPercent: load?.cpuPercent ?? 0,
        facts,
        taken: this.app.room.taken(id),
        leased: this.app.room.leased(id),
      }];
    }));
    return { hypervisors: this.#conditions, held: this.app.jobs.holds(), promised: this.app.room.promised };
  }

  /** As it was when it was last read. */
  capacityOf(hypervisorId: string): Capacity {
    return this.#hypervisors.find(({ id }) => id === hypervisorId)?.capacity ?? defaultCapacity;
  }

  /** These machines are not what they were; their rows are committed. Tells that their pools have other counts. */
  touch(machineIds: readonly string[]): void {
    for (const [desktopPoolId, pool] of this.#pools) {
      const concerned = machineIds.filter((id) => pool.members.has(id));
      if (concerned.length === 0) continue;
      if (pool.stale !== "all") { for (const id of concerned) pool.stale.add(id); }
      if (pool.stale !== "all" && pool.stale.size > patchLimit) pool.stale = "all";
      this.app.bus.publish({ type: "desktop-pool", id: desktopPoolId });
    }
  }

  /** The pool's membership has changed. */
  forget(desktopPoolId: string): void {
    const pool = this.#pools.get(desktopPoolId);
    if (pool) pool.stale = "all";
  }

  #pool(desktopPoolId: string): Pool {
    const known = this.#pools.get(desktopPoolId);
    if (known) return known;
    const pool: Pool = { members: new Map(), stale: "all", reading: null, counts: null };
    this.#pools.set(desktopPoolId, pool);
    return pool;
  }

  async #readHypervisors(): Promise<void> {
    try {
      // What changes while they are read makes them stale again.
      this.#hypervisorsAreStale = false;
      this.#hypervisors = await readHypervisors(this.app.db);
      this.#conditions = null;
    } catch (error) {
      this.#hypervisorsAreStale = true;
      throw error;
    } finally {
      this.#readingHypervisors = null;
    }
  }

  async #read(desktopPoolId: string, pool: Pool): Promise<void> {
    // What becomes stale from here on is read again in the next round.
    const stale = pool.stale;
    pool.stale = new Set();
    try {
      if (stale === "all") {
        const members = await readMembers(this.app.db, desktopPoolId);
        pool.members = new Map(members.map((member) => [member.machineId, member]));
      } else {
        const members = await readMembers(this.app.db, desktopPoolId, [...stale]);
        for (const member of members) {
          pool.members.set(member.machineId, member);
          stale.delete(member.machineId);
        }
        for (const gone of stale) pool.members.delete(gone);
      }
    } catch (error) {
      pool.stale = "all";
      throw error;
    } finally {
      pool.counts = null;
      pool.reading = null;
    }
  }

  #onChange(change: Change): void {
    switch (change.type) {
      case "machines":
        return this.touch(change.ids);
      case "machine-removed":
        return this.touch([change.id]);
      case "desktop-pool-removed":
        return void this.#pools.delete(change.id);
      case "hypervisor":
        if (change.load) return;
        this.#hypervisorsAreStale = true;
        return this.#forgetConditions();
      case "hypervisor-removed":
        this.#hypervisorsAreStale = true;
        return this.#forgetConditions();
    }
  }

  #forgetConditions(): void {
    this.#conditions = null;
    for (const [id, pool] of this.#pools) {
      pool.counts = null;
      this.app.bus.publish({ type: "desktop-pool", id });
    }
  }
}
