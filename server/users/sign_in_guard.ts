import { AppError } from "../../contracts/errors.ts";
import type { Db } from "../db/schema.ts";
import { listFailedSignIns, usernameKey, writeFailedSignIns } from "./store.ts";

/** What is known of one user name or one address. */
interface Counter {
  failures: number;
  /** When the first of the failures was, Unix ms. */
  since: number;
  /** Unix ms; null: not locked. */
  lockedUntil: number | null;
  /** Attempts whose outcome is not known yet. */
  pending: number;
  waiting: (() => void)[];
}

export interface GuardLimits {
  attempts: number;
  lockMs: number;
}

const maxCounters = 20_000;
/** Wrong passwords from one address, in multiples of those that lock an account: a class room signs in at once. */
const addressFactor = 20;

/**
 * Stops guessing. Counts wrong passwords per user name, whether there is such a user or not, and per address; never
 * more attempts run at once than are left. Of real users the count outlives a restart.
 */
export class SignInGuard {
  readonly #names = new Map<string, Counter>();
  readonly #addresses = new Map<string, Counter>();

  private constructor(
    private readonly db: Db,
    private readonly now: () => number,
    private readonly limits: () => GuardLimits,
  ) {}

  static async load(db: Db, now: () => number, limits: () => GuardLimits): Promise<SignInGuard> {
    const guard = new SignInGuard(db, now, limits);
    for (const row of await listFailedSignIns(db)) {
      const counter = guard.#counter(guard.#names, row.username_key);
      counter.failures = row.failed_sign_ins;
      counter.lockedUntil = row.locked_until;
    }
    return guard;
  }

  /**
   * Runs one attempt; it returns null when the password was wrong.
   * @throws {AppError} `too_many_attempts` when the name or the address is locked, without having tried.
   */
  async attempt<T>(
    username: string,
    address: string | null,
    attempt: () => Promise<T | null>,
  ): Promise<T | null> {
    const name = usernameKey(username);
    return await this.#counted(
      this.#addresses,
      address ?? "",
      addressFactor,
      () =>
        this.#counted(this.#names, name, 1, async () => {
          const result = await attempt();
          const counter = this.#counter(this.#names, name);
          if (result !== null && counter.failures > 0) await this.#reset(name);
          return result;
        }),
    );
  }

  /** Ends a lockout. */
  async unlock(username: string): Promise<void> {
    await this.#reset(usernameKey(username));
  }

  /** Runs an attempt under one counter, which allows `factor` times the usual number of failures. */
  async #counted<T>(
    counters: Map<string, Counter>,
    key: string,
    factor: number,
    attempt: () => Promise<T | null>,
  ): Promise<T | null> {
    const counter = await this.#enter(counters, key, factor);
    try {
      const result = await attempt();
      if (result === null) await this.#fail(counters, key, counter, factor);
      return result;
    } finally {
      counter.pending--;
      // All of them: who finds the counter locked now does not wake anybody else.
      for (const wake of counter.waiting.splice(0)) wake();
    }
  }

  async #enter(counters: Map<string, Counter>, key: string, factor: number): Promise<Counter> {
    for (;;) {
      const counter = this.#counter(counters, key);
      const { attempts, lockMs } = this.limits();
      if (counter.lockedUntil !== null) {
        if (counter.lockedUntil > this.now()) throw tooMany(counter.lockedUntil - this.now());
        Object.assign(counter, { lockedUntil: null, failures: 0 });
      }
      // An address has many users, some of whom mistype every day.
      if (counters === this.#addresses && counter.since + lockMs < this.now()) counter.failures = 0;
      if (counter.pending === 0 || counter.failures + counter.pending < attempts * factor) {
        counter.pending++;
        return counter;
      }
      await new Promise<void>((resolve) => counter.waiting.push(resolve));
    }
  }

  async #fail(counters: Map<string, Counter>, key: string, counter: Counter, factor: number): Promise<void> {
    const { attempts, lockMs } = this.limits();
    if (counter.failures++ === 0) counter.since = this.now();
    if (counter.failures >= attempts * factor) counter.lockedUntil = this.now() + lockMs;
    if (counters !== this.#names) return;
    await writeFailedSignIns(this.db, key, counter.failures, counter.lockedUntil);
  }

  async #reset(name: string): Promise<void> {
    Object.assign(this.#counter(this.#names, name), { failures: 0, lockedUntil: null });
    await writeFailedSignIns(this.db, name, 0, null);
  }

  #counter(counters: Map<string, Counter>, key: string): Counter {
    let counter = counters.get(key);
    if (!counter) {
      counter = { failures: 0, since: 0, lockedUntil: null, pending: 0, waiting: [] };
      counters.set(key, counter);
      if (counters.size > maxCounters) this.#forgetOne(counters);
    }
    return counter;
  }

  /** Makes room: the oldest on which nothing is going on and which is not locked. */
  #forgetOne(counters: Map<string, Counter>): void {
    for (const [key, counter] of counters) {
      const locked = counter.lockedUntil !== null && counter.lockedUntil > this.now();
      if (counter.pending > 0 || locked) continue;
      counters.delete(key);
      return;
    }
  }
}

function tooMany(waitMs: number): AppError {
  const minutes = Math.max(1, Math.ceil(waitMs / 60_000));
  return new AppError(
    "too_many_attempts",
    `Too many wrong passwords. Try again in ${minutes} ${minutes === 1 ? "minute" : "minutes"}, ` +
      `or ask an admin to unlock the account.`,
  );
}
