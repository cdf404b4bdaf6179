import { AppError } from "../../contracts/errors.ts";
import type { Db } from "../db/schema.ts";
import { listFailedSignIns, usernameKey, writeFailedSignIns } from "./store.ts";

interface Account {
  failures: number;
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

const maxAccounts = 20_000;
/** Wrong passwords from one address, in multiples of those that lock an account: a class room signs in at once. */
const addressFactor = 20;

/**
 * Stops guessing. Counts wrong passwords per user name, whether there is such a user or not, and per address; never
 * more attempts run at once on a name than it has left. Of real users the count outlives a restart.
 */
export class SignInGuard {
  readonly #accounts = new Map<string, Account>();
  readonly #addresses = new Map<string, { failures: number; since: number }>();

  private constructor(
    private readonly db: Db,
    private readonly now: () => number,
    private readonly limits: () => GuardLimits,
  ) {}

  static async load(db: Db, now: () => number, limits: () => GuardLimits): Promise<SignInGuard> {
    const guard = new SignInGuard(db, now, limits);
    for (const row of await listFailedSignIns(db)) {
      const account = guard.#account(row.username_key);
      account.failures = row.failed_sign_ins;
      account.lockedUntil = row.locked_until;
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
    const key = usernameKey(username);
    this.#requireAddress(address);
    const account = await this.#enter(key);
    try {
      const result = await attempt();
      if (result === null) await this.#fail(key, account, address);
      else if (account.failures > 0) await this.#reset(key, account);
      return result;
    } finally {
      account.pending--;
      // All of them: who finds the name locked now does not wake anybody else.
      for (const wake of account.waiting.splice(0)) wake();
    }
  }

  /** Ends a lockout. */
  async unlock(username: string): Promise<void> {
    const key = usernameKey(username);
    await this.#reset(key, this.#account(key));
  }

  async #enter(key: string): Promise<Account> {
    for (;;) {
      const account = this.#account(key);
      const { attempts } = this.limits();
      if (account.lockedUntil !== null) {
        if (account.lockedUntil > this.now()) throw tooMany(account.lockedUntil - this.now());
        account.lockedUntil = null;
        account.failures = 0;
      }
      if (account.pending === 0 || account.failures + account.pending < attempts) {
        account.pending++;
        return account;
      }
      await new Promise<void>((resolve) => account.waiting.push(resolve));
    }
  }

  async #fail(key: string, account: Account, address: string | null): Promise<void> {
    const { attempts, lockMs } = this.limits();
    account.failures++;
    if (account.failures >= attempts) account.lockedUntil = this.now() + lockMs;
    if (address !== null) this.#addressRecord(address).failures++;
    await writeFailedSignIns(this.db, key, account.failures, account.lockedUntil);
  }

  async #reset(key: string, account: Account): Promise<void> {
    account.failures = 0;
    account.lockedUntil = null;
    await writeFailedSignIns(this.db, key, 0, null);
  }

  #requireAddress(address: string | null): void {
    const { attempts, lockMs } = this.limits();
    if (address === null) return;
    const record = this.#addressRecord(address);
    if (record.failures >= attempts * addressFactor) throw tooMany(record.since + lockMs - this.now());
  }

  #addressRecord(address: string) {
    const old = this.#addresses.get(address);
    if (old && old.since + this.limits().lockMs > this.now()) return old;
    const record = { failures: 0, since: this.now() };
    this.#addresses.delete(address);
    this.#addresses.set(address, record);
    if (this.#addresses.size > maxAccounts) this.#addresses.delete(this.#addresses.keys().next().value!);
    return record;
  }

  #account(key: string): Account {
    let account = this.#accounts.get(key);
    if (!account) {
      account = { failures: 0, lockedUntil: null, pending: 0, waiting: [] };
      this.#accounts.set(key, account);
      if (this.#accounts.size > maxAccounts) this.#forgetOne();
    }
    return account;
  }

  /** Makes room: the oldest name on which nothing is going on and which is not locked. */
  #forgetOne(): void {
    for (const [key, account] of this.#accounts) {
      const locked = account.lockedUntil !== null && account.lockedUntil > this.now();
      if (account.pending > 0 || locked) continue;
      this.#accounts.delete(key);
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
