import { createHash, randomBytes } from "node:crypto";
import type { Me } from "../../contracts/user.ts";
import type { Db, SessionRow, UserRow } from "../db/schema.ts";
import {
  deleteExpiredSessions,
  deleteSession,
  deleteSessionsOf,
  findSession,
  insertSession,
} from "./session_store.ts";

/** A session as it is looked up: who, until when, and the key that stands for its token. */
export interface LiveSession {
  key: string;
  user: Me;
  /** Unix ms */
  expiresAt: number;
}

const maxCached = 20_000;
const tokenPattern = /^[A-Za-z0-9_-]{43}$/;

/**
 * Sign-ins. A token is 32 random bytes, kept only as SHA-256. Look-ups are answered from memory; this process is the
 * only writer, so what ends a session here ends it everywhere, at once.
 */
export class Sessions {
  readonly #cache = new Map<string, LiveSession>();
  readonly #listeners = new Set<(ended: (session: LiveSession) => boolean) => void>();
  /** Rises whenever sessions end, so that a look-up under way does not bring one back. */
  #generation = 0;

  constructor(private readonly db: Db, private readonly now: () => number) {}

  /**
   * Starts a session with a new token, whatever token the caller had before; null when the user was disabled or got
   * another password since `user` was read.
   */
  async create(user: UserRow, options: Pick<SessionRow, "kind" | "address"> & { hours: number }) {
    const token = randomBytes(32).toString("base64url");
    const now = this.now();
    const expiresAt = now + options.hours * 3_600_000;
    const created = await insertSession(this.db, {
      token_hash: sessionKey(token),
      user_id: user.id,
      kind: options.kind,
      address: options.address,
      created_at: now,
      expires_at: expiresAt,
    }, user.password_hash);
    return created ? { token, expiresAt } : null;
  }

  /** The session that a token opens, or null. */
  async find(token: string): Promise<LiveSession | null> {
    if (!tokenPattern.test(token)) return null;
    const key = sessionKey(token);
    const cached = this.#cache.get(key);
    if (cached) return cached.expiresAt > this.now() ? cached : null;
    const generation = this.#generation;
    const row = await findSession(this.db, key, this.now());
    if (!row) return null;
    const user = { id: row.id, username: row.username, displayName: row.display_name, role: row.role };
    const session = { key, user, expiresAt: row.expires_at };
    if (generation !== this.#generation) return await this.find(token);
    this.#remember(session);
    return session;
  }

  async end(key: string): Promise<void> {
    this.#drop((session) => session.key === key);
    await deleteSession(this.db, key);
  }

  /** Ends all sessions of a user, except one if its key is given. */
  async endAllOf(userId: string, exceptKey?: string): Promise<void> {
    this.#drop((session) => session.user.id === userId && session.key !== exceptKey);
    await deleteSessionsOf(this.db, userId, exceptKey);
    // A look-up between the two steps may have read the rows that are gone now.
    this.#drop((session) => session.user.id === userId && session.key !== exceptKey);
  }

  /** Forgets what was read of a user, as a new display name; the sessions go on. */
  refresh(userId: string): void {
    this.#generation++;
    for (const session of this.#cache.values()) {
      if (session.user.id === userId) this.#cache.delete(session.key);
    }
  }

  /** Tells which sessions have just ended, as a test that holds for them; returns the function that stops it. */
  onEnd(listener: (ended: (session: LiveSession) => boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async dropExpired(): Promise<void> {
    const now = this.now();
    this.#drop((session) => session.expiresAt <= now);
    await deleteExpiredSessions(this.db, now);
  }

  #remember(session: LiveSession): void {
    this.#cache.set(session.key, session);
    if (this.#cache.size > maxCached) this.#cache.delete(this.#cache.keys().next().value!);
  }

  #drop(ended: (session: LiveSession) => boolean): void {
    this.#generation++;
    for (const session of this.#cache.values()) if (ended(session)) this.#cache.delete(session.key);
    for (const listener of this.#listeners) listener(ended);
  }
}

const sessionKey = (token: string) => createHash("sha256").update(token).digest("base64url");
