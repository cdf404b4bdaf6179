/**
 * /api/events: what the bus says, collected for a tenth of a second, rendered and encoded once, sent to everybody who
 * may see it. Nothing is rendered while nobody listens.
 */
import type { Desktop, Lease } from "../../contracts/desktop.ts";
import type { DesktopPool } from "../../contracts/desktop_pool.ts";
import type { DashboardEvent } from "../../contracts/events.ts";
import type { Hypervisor } from "../../contracts/hypervisor.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Overview } from "../../contracts/settings.ts";
import type { App } from "../app.ts";
import type { LiveSession } from "../users/sessions.ts";
import { LoadFilter } from "./load_filter.ts";
import { Pending } from "./pending.ts";
import { encodeEvent, EventStream } from "./stream.ts";

/** How the hub learns what things look like now. Ids of what is gone are left out. */
export interface EventSources {
  machines(ids: string[]): Promise<Machine[]>;
  hypervisors(ids: string[]): Promise<Hypervisor[]>;
  /** All of them: their counts follow from machines, leases and hypervisors. */
  desktopPools(): Promise<DesktopPool[]>;
  leases(ids: string[]): Promise<Lease[]>;
  myDesktop(leaseId: string): Promise<
    { userId: string | null; desktop: Desktop; endReason: string | null } | null
  >;
  myDesktops(userId: string): Promise<Desktop[]>;
  openJobs(): Promise<Job[]>;
  overview(): Promise<Overview>;
  /** Running machines of a hypervisor. */
  runningOn(hypervisorId: string): string[];
}

export interface HubTimes {
  /** How long changes are collected. */
  collectMs: number;
  /** The least time between two overviews (with the pools' counts), and between two load figures of a machine. */
  overviewMs: number;
  loadMs: number;
  keepAliveMs: number;
}

const defaultTimes: HubTimes = { collectMs: 100, overviewMs: 1_000, loadMs: 5_000, keepAliveMs: 15_000 };

const maxStreamsPerSession = 32;

interface Client {
  session: LiveSession;
  /** Admins and operators. */
  staff: boolean;
  stream: EventStream;
}

export class EventHub {
  readonly #clients = new Set<Client>();
  readonly #times: HubTimes;
  readonly #ends: (() => void)[];
  readonly #loads = new LoadFilter();
  #pending = new Pending();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #keepAlive: ReturnType<typeof setInterval>;
  #flushing: Promise<void> = Promise.resolve();
  #overviewAt = 0;
  #loadsAt = 0;
  /** What was told of each pool last: to admins, and whether users find something new in their list. */
  readonly #toldPools = new Map<string, { pool: string; offer: string }>();

  constructor(
    private readonly app: Pick<App, "bus" | "log" | "now" | "sessions" | "signal">,
    private readonly sources: EventSources,
    times: Partial<HubTimes> = {},
  ) {
    this.#times = { ...defaultTimes, ...times };
    this.#ends = [
      app.bus.subscribe((change) => {
        if (this.#clients.size === 0) return;
        this.#pending.add(change);
        this.#schedule(this.#times.collectMs);
      }),
      app.sessions.onEnd((ended) => this.#closeWhere(({ session }) => ended(session))),
    ];
    // Streams would hold up the drain.
    app.signal.addEventListener("abort", () => this.#closeWhere(() => true), { once: true });
    this.#keepAlive = setInterval(() => this.#keepAllAlive(), this.#times.keepAliveMs);
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /** Opens a stream: a snapshot, then every change that the user may see. */
  async connect(session: LiveSession): Promise<ReadableStream<Uint8Array>> {
    if (this.app.signal.aborted) throw new AppError("unavailable", "The dashboard is shutting down.");
    const staff = session.user.role !== "user";
    const client: Client = { session, staff, stream: new EventStream(() => this.#clients.delete(client)) };
    this.#makeRoom(session);
    this.#clients.add(client);
    try {
      const [overview, jobs, desktops] = await Promise.all([
        staff ? this.sources.overview() : null,
        staff ? this.sources.openJobs() : [],
        this.sources.myDesktops(session.user.id),
      ]);
      client.stream.open(encodeEvent({ type: "snapshot", user: session.user, overview, jobs, desktops }));
      return client.stream.body;
    } catch (error) {
      this.#clients.delete(client);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    clearTimeout(this.#timer);
    clearInterval(this.#keepAlive);
    this.#closeWhere(() => true);
    await this.#flushing;
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      // One after the other, so that nothing old is sent after something new.
      this.#flushing = this.#flushing.then(() => this.#flush());
    }, delayMs);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const pending = this.#pending;
    this.#pending = new Pending();
    try {
      await this.#tellStaff(pending);
      await this.#tellUsers(pending);
      await this.#tellWhole(pending);
    } catch (error) {
      // What could not be told is lost to the streams: clients start again from a snapshot.
      this.app.log.error({ err: error }, "telling changes failed");
      this.#closeWhere(() => true);
    }
  }

  async #tellStaff(pending: Pending): Promise<void> {
    if (!this.#hasStaff()) return;
    const { sources } = this;
    for (const [id, type] of pending.removed) this.#send({ type, id });
    for (const job of pending.jobs.values()) this.#send({ type: "job", job });
    for (const machine of await some(pending.machines, (ids) => sources.machines(ids))) {
      this.#loads.note(machine);
      this.#send({ type: "machine", machine });
    }
    for (const hypervisor of await some(pending.hypervisors, (ids) => sources.hypervisors(ids))) {
      this.#send({ type: "hypervisor", hypervisor });
    }
    for (const lease of await some(pending.leases, (ids) => sources.leases(ids))) {
      this.#send({ type: "lease", lease });
    }
    for (const upload of pending.uploads.values()) this.#send({ type: "upload", upload });
    for (const id of pending.images) this.#send({ type: "image", id });
    for (const id of pending.users) this.#send({ type: "user", id });
    if (pending.audit !== null) this.#send({ type: "audit", id: pending.audit }, (client) => isAdmin(client));
    await this.#tellLoads(pending);
  }

  /** The pools' counts and the overview depend on nearly everything: looked at once a second, told where they differ. */
  async #tellWhole(pending: Pending): Promise<void> {
    if (!pending.overview) return;
    const now = this.app.now();
    if (now - this.#overviewAt < this.#times.overviewMs) {
      return this.#postpone((next) => next.overview = true, this.#overviewAt + this.#times.overviewMs - now);
    }
    this.#overviewAt = now;
    await this.#tellPools();
    if (this.#hasStaff()) this.#send({ type: "overview", overview: await this.sources.overview() });
  }

  async #tellPools(): Promise<void> {
    let offersChanged = false;
    const seen = new Set<string>();
    for (const desktopPool of await this.sources.desktopPools()) {
      const { id, name, description, enabled, counts, policy } = desktopPool;
      const pool = JSON.stringify(desktopPool);
      const offer = JSON.stringify([name, description, enabled, counts.free > 0, policy.userPower]);
      const told = this.#toldPools.get(id);
      seen.add(id);
      this.#toldPools.set(id, { pool, offer });
      if (told?.pool !== pool) this.#send({ type: "desktop-pool", desktopPool });
      if (told !== undefined && told.offer !== offer) offersChanged = true;
    }
    for (const id of this.#toldPools.keys()) if (!seen.has(id)) this.#toldPools.delete(id);
    if (offersChanged) this.#send({ type: "my-desktop-pools" }, () => true);
  }

  async #tellLoads(pending: Pending): Promise<void> {
    if (pending.loads.size === 0) return;
    const now = this.app.now();
    if (now - this.#loadsAt < this.#times.loadMs) {
      const later = (next: Pending) => pending.loads.forEach((id) => next.loads.add(id));
      return this.#postpone(later, this.#loadsAt + this.#times.loadMs - now);
    }
    this.#loadsAt = now;
    const { sources } = this;
    const ids = [...pending.loads].flatMap((id) => sources.runningOn(id));
    const told = new Set(pending.machines);
    for (
      const machine of await some(ids.filter((id) => !told.has(id)), (some) => sources.machines(some))
    ) {
      if (this.#loads.isNews(machine)) this.#send({ type: "machine", machine });
    }
  }

  /** Users hear of their own desktops, and when what they may use has changed. */
  async #tellUsers(pending: Pending): Promise<void> {
    for (const leaseId of pending.leases) {
      const lease = await this.sources.myDesktop(leaseId);
      if (!lease) continue;
      const event: DashboardEvent = lease.desktop.state === "ended"
        ? { type: "desktop-ended", id: leaseId, reason: lease.endReason ?? "" }
        : { type: "desktop", desktop: lease.desktop };
      this.#send(event, ({ session }) => session.user.id === lease.userId);
    }
    const all = pending.allEntitled ||
      pending.removed.values().some((type) => type === "desktop-pool-removed");
    if (!all && pending.entitled.size === 0) return;
    this.#send({ type: "my-desktop-pools" }, ({ session }) => all || pending.entitled.has(session.user.id));
  }

  /** Leaves something for a later round. */
  #postpone(leave: (next: Pending) => void, delayMs: number): void {
    leave(this.#pending);
    this.#schedule(Math.max(delayMs, this.#times.collectMs));
  }

  /** One stream a tab is usual; a program that keeps opening them loses its oldest. */
  #makeRoom({ key }: LiveSession): void {
    const own = [...this.#clients].filter(({ session }) => session.key === key);
    for (const { stream } of own.slice(0, Math.max(0, own.length + 1 - maxStreamsPerSession))) stream.close();
  }

  #hasStaff(): boolean {
    return this.#clients.values().some(({ staff }) => staff);
  }

  #send(event: DashboardEvent, to: (client: Client) => boolean = ({ staff }) => staff): void {
    let chunk: Uint8Array | undefined;
    for (const client of [...this.#clients]) {
      if (to(client)) client.stream.send(chunk ??= encodeEvent(event));
    }
  }

  #closeWhere(test: (client: Client) => boolean): void {
    for (const client of [...this.#clients]) if (test(client)) client.stream.close();
  }

  #keepAllAlive(): void {
    const now = this.app.now();
    this.#closeWhere(({ session }) => session.expiresAt <= now);
    for (const { stream } of [...this.#clients]) stream.keepAlive();
  }
}

const isAdmin = ({ session }: Client) => session.user.role === "admin";

/** Renders only if there is something to render. */
async function some<T>(ids: Iterable<string>, render: (ids: string[]) => Promise<T[]>): Promise<T[]> {
  const list = [...ids];
  return list.length > 0 ? await render(list) : [];
}
