import { createHash, randomBytes } from "node:crypto";
import type { CloseReason } from "../../contracts/gateway.ts";

/** What a ticket opens, and for whom. */
export interface DisplayTarget {
  machineId: string;
  hypervisorId: string;
  userId: string;
  /** The user's lease of the machine; null for an admin's console. */
  leaseId: string | null;
  host: string;
  port: number;
  /** Until when the first channel may be opened, Unix ms. */
  expiresAt: number;
}

/** One relayed connection, a WebSocket or a CONNECT tunnel. */
export interface Channel {
  close(reason: CloseReason): void;
}

/** Ends every session that matches all the given fields. */
export type SessionFilter = Partial<
  Pick<DisplayTarget, "machineId" | "hypervisorId" | "userId" | "leaseId">
>;

interface Session {
  target: DisplayTarget;
  /** When the first channel was opened; null: the ticket is unused. */
  openedAt: number | null;
  /** Open channels, the first (SPICE's main channel) first. */
  channels: Set<Channel>;
  mainChannel: Channel | null;
}

/** How long after the first channel the others of the same viewer may follow. */
export const followUpMs = 30_000;
/** SPICE opens one connection a channel: main, inputs, cursor, sound both ways, four displays, four USB devices, ... */
export const maxChannels = 32;
const ticketPattern = /^[a-z2-7]{52}$/;

/**
 * One-time display tickets and the sessions they open. Kept in memory only, and only as SHA-256: a restart of the
 * dashboard voids all tickets.
 */
export class Tickets {
  readonly #sessions = new Map<string, Session>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Makes a ticket: 52 lower-case letters and digits, which proxies and resolvers pass on unchanged as a host name. */
  issue(target: DisplayTarget): string {
    this.#dropUnused(target.machineId);
    const ticket = base32(randomBytes(32));
    this.#sessions.set(digest(ticket), { target, openedAt: null, channels: new Set(), mainChannel: null });
    return ticket;
  }

  /**
   * Lets a channel in and says where to connect it, or null if the ticket does not open anything (any more). The
   * first channel of a ticket takes the machine's display over from whoever had it: SPICE serves one viewer.
   */
  admit(ticket: string, channel: Channel): DisplayTarget | null {
    const session = this.#sessionOf(ticket);
    if (!session || !this.#isOpenTo(session)) return null;
    if (session.openedAt === null) {
      this.#takeOver(session);
      session.openedAt = this.#now();
      session.mainChannel = channel;
    }
    session.channels.add(channel);
    return session.target;
  }

  /** Must follow when an admitted channel closes. With its first channel a session ends for good. */
  release(ticket: string, channel: Channel): void {
    const key = digest(ticket);
    const session = this.#sessions.get(key);
    if (!session) return;
    session.channels.delete(channel);
    if (channel === session.mainChannel) {
      this.#sessions.delete(key);
      for (const other of session.channels) other.close("displayClosed");
    }
  }

  /** Whether the ticket's display is open now. */
  isInUse(ticket: string): boolean {
    return this.#sessionOf(ticket)?.mainChannel != null;
  }

  /** Closes the connections that match and voids their tickets, used or not. */
  revoke(filter: SessionFilter, reason: CloseReason): void {
    for (const [key, session] of this.#sessions) {
      if (!matches(session.target, filter)) continue;
      this.#sessions.delete(key);
      for (const channel of session.channels) channel.close(reason);
    }
  }

  /** Leases whose display is open through the gateway, in the browser or in a native viewer. */
  openLeaseIds(): Set<string> {
    const ids = new Set<string>();
    for (const { target, openedAt } of this.#sessions.values()) {
      if (openedAt !== null && target.leaseId !== null) ids.add(target.leaseId);
    }
    return ids;
  }

  get openChannelCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) count += session.channels.size;
    return count;
  }

  #sessionOf(ticket: string): Session | undefined {
    return ticketPattern.test(ticket) ? this.#sessions.get(digest(ticket)) : undefined;
  }

  #isOpenTo(session: Session): boolean {
    if (session.openedAt === null) return this.#now() <= session.target.expiresAt;
    return this.#now() <= session.openedAt + followUpMs && session.channels.size < maxChannels;
  }

  /** A new ticket changes the display's password, which voids older unused ones; expired ones go too. */
  #dropUnused(machineId: string): void {
    const now = this.#now();
    for (const [key, { target, openedAt }] of this.#sessions) {
      if (openedAt === null && (target.machineId === machineId || target.expiresAt < now)) {
        this.#sessions.delete(key);
      }
    }
  }

  #takeOver(by: Session): void {
    for (const [key, session] of this.#sessions) {
      if (session === by || session.target.machineId !== by.target.machineId) continue;
      this.#sessions.delete(key);
      const reason = session.target.userId === by.target.userId ? "takenOverByYou" : "takenOver";
      for (const channel of session.channels) channel.close(reason);
    }
  }
}

function matches(target: DisplayTarget, filter: SessionFilter): boolean {
  return (Object.keys(filter) as (keyof SessionFilter)[])
    .every((key) => filter[key] === undefined || target[key] === filter[key]);
}

const digest = (ticket: string) => createHash("sha256").update(ticket).digest("base64");

/** RFC 4648 base32 in lower case, without padding. */
function base32(bytes: Uint8Array): string {
  let bits = 0, value = 0, text = "";
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) {
      text += "abcdefghijklmnopqrstuvwxyz234567"[(value >> (bits - 5)) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + "abcdefghijklmnopqrstuvwxyz234567"[(value << (5 - bits)) & 31] : text;
}
