/** The life of leases: given, prepared, kept alive by heartbeats, ended; and the machine's way back. */
import type { Desktop, DesktopState, GetDesktop } from "../../contracts/desktop.ts";
import { AppError, type ErrorInfo } from "../../contracts/errors.ts";
import type { z } from "zod";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { releaseDataDisk } from "../data_disks/service.ts";
import { type Given, type MachineRequest, notEntitled } from "../broker/broker.ts";
import type { Change } from "../bus.ts";
import { Heartbeats } from "./heartbeats.ts";
import { isLost, keepLost, keepUntil, returnExpired } from "./lost.ts";
import { type PreparationListener, Preparations } from "./preparations.ts";
import { type BootTimes, defaultBootTimes } from "../starts/guest_agents.ts";
import { toDesktop } from "./render.ts";
import { beginReturn, defineReturn } from "./return_machine.ts";
import {
  finishLease,
  type LeaseDetail,
  readActiveLeases,
  readLease,
  readOwn,
  updateActive,
  writeHeartbeats,
} from "./store.ts";

const sweepMs = 5_000;
/** Heartbeats that may be missed even where the policy gives no time. */
const patience = 2.5;

export interface LeaseEnd {
  /** For people: why. */
  reason: string;
  /** Null: the dashboard itself. */
  by: Actor | null;
  error?: z.infer<typeof ErrorInfo>;
  /** A machine that is out of reach is kept for its user, not returned. */
  keepIfLost?: true;
}

export class Leases {
  #beats = new Heartbeats();
  #preparations: Preparations;
  #ending = new Map<string, Promise<void>>();
  #work = new Set<Promise<unknown>>();
  #unsubscribe: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopped = false;

  constructor(private readonly app: App, bootTimes: BootTimes = defaultBootTimes) {
    this.#preparations = new Preparations(app, bootTimes, this.#listenToPreparations());
    this.#unsubscribe = app.bus.subscribe((change) => this.#onChange(change));
    defineReturn(app);
  }

  /** Takes up what was active when the dashboard ended; the time it was away counts as a sign of life. */
  async start(): Promise<void> {
    const now = this.app.now();
    for (const lease of await readActiveLeases(this.app.db)) {
      this.#track(lease, now);
      if (lease.state === "preparing") this.#prepare(lease);
    }
    await this.reconcile();
    this.#timer = setInterval(() => this.#background(this.sweep()), sweepMs);
  }

  /** Leaves the leases as they are, for the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#unsubscribe();
    await this.#preparations.stop();
    await Promise.allSettled([...this.#work, ...this.#ending.values()]);
    await this.#writeHeartbeats();
  }

  isActive(leaseId: string): boolean {
    return this.#beats.get(leaseId) !== undefined && !this.#ending.has(leaseId);
  }

  lastHeartbeatAt(leaseId: string): number | undefined {
    return this.#beats.get(leaseId)?.lastAt;
  }

  /**
   * The user's own desktop in the pool again, else a new one; a machine that is off is being started when this returns.
   * @throws {AppError} `forbidden` without entitlement, `no_capacity` with the reasons
   */
  async get(actor: Actor, { desktopPoolId, terminal }: z.output<typeof GetDesktop>): Promise<Desktop> {
    const device = terminal ?? actor.address;
    const own = await readOwn(this.app.db, actor.id, desktopPoolId);
    const lost = own !== undefined && isLost(this.app, own);
    if (own && !lost) return await this.#reopen(own, device);
    const request = { desktopPoolId, userId: actor.id, terminal: device };
    const given = lost ? await this.#giveInstead(own, request) : await this.app.broker.give(request);
    const lease = await this.#require(given.leaseId);
    if (given.kind === "own") return await this.#reopen(lease, device);
    this.#track(lease, this.app.now());
    if (lease.state === "preparing") this.#prepare(lease);
    this.#publishMachine(lease);
    this.#publish(lease, false);
    const detail = `${lease.machine?.name} in ${lease.desktopPoolName}${device ? ` from ${device}` : ""}`;
    await this.#audit("lease.start", lease, actor, detail);
    return toDesktop(this.app, lease);
  }

  /** A sign of life. @throws {AppError} `not_found` unless the lease is the user's */
  async heartbeat(actor: Actor, leaseId: string): Promise<DesktopState> {
    const pulse = this.#beats.get(leaseId);
    if (!pulse || pulse.userId !== actor.id) return (await this.ownLease(actor, leaseId)).state;
    this.#beats.note(leaseId, this.app.now());
    return pulse.state;
  }

  /** A lease of this user's, ended or not. @throws {AppError} `not_found` */
  async ownLease(actor: Actor, leaseId: string): Promise<LeaseDetail> {
    const lease = await readLease(this.app.db, leaseId);
    if (lease && lease.userId === actor.id) return lease;
    throw new AppError("not_found", "You have no such desktop.");
  }

  /** The user's lease if it can be used now. @throws {AppError} `not_found`; `conflict` once it has ended */
  async ownActiveLease(actor: Actor, leaseId: string): Promise<LeaseDetail & { machine: object }> {
    const lease = await this.ownLease(actor, leaseId);
    const { machine } = lease;
    if (lease.endedAt !== null || !machine) {
      throw new AppError("conflict", `Your use of this desktop has ended: ${lease.endReason} Open it again.`);
    }
    if (!lease.entitled) throw notEntitled();
    return { ...lease, machine };
  }

  /** Ends a lease, if it is still active: connections are closed, and the policy decides what becomes of the machine. */
  end(leaseId: string, end: LeaseEnd): Promise<void> {
    const running = this.#ending.get(leaseId);
    if (running) return running;
    const work = this.#end(leaseId, end).finally(() => {
      this.#ending.delete(leaseId);
      // A request that read the lease a moment before it ended may have noted it again.
      this.#beats.forget(leaseId);
    });
    this.#ending.set(leaseId, work);
    return work;
  }

  /** Ends every lease of a desktop pool. */
  async endAllOfPool(desktopPoolId: string, end: LeaseEnd): Promise<void> {
    const leases = (await readActiveLeases(this.app.db)).filter((lease) =>
      lease.desktopPoolId === desktopPoolId
    );
    for (const { id } of leases) await this.end(id, end);
  }

  /** Ends what has been without a sign of life for too long, and writes the signs of life down. */
  async sweep(): Promise<void> {
    const now = this.app.now();
    for (const leaseId of this.app.tickets.openLeaseIds()) this.#beats.note(leaseId, now);
    const leastMs = this.app.settings.current().heartbeatSeconds * 1000 * patience;
    for (const { leaseId, lastAt } of this.#beats.expired(now, leastMs)) {
      const minutes = Math.round((now - lastAt) / 60_000);
      const silence = minutes > 0 ? `${minutes} min` : `${Math.round((now - lastAt) / 1000)} s`;
      const reason = `There was no sign of life for ${silence}.`;
      await this.end(leaseId, { reason, by: null, keepIfLost: true });
    }
    await returnExpired(this.app);
    await this.#writeHeartbeats();
  }

  /**
   * Ends active leases that have lost their ground (user, entitlement, pool or machine are gone) and takes over changed
   * policies; of all users, or of one and of those that have been deleted.
   */
  async reconcile(userId?: string): Promise<void> {
    for (const lease of await readActiveLeases(this.app.db, { ofUserOrNobody: userId })) {
      const reason = groundlessness(lease);
      if (reason) await this.end(lease.id, { reason, by: null });
      else this.#beats.change(lease.id, { returnAfterMs: returnAfterMs(lease) });
    }
  }

  async #reopen(lease: LeaseDetail, terminal: string | null): Promise<Desktop> {
    if (!lease.entitled) throw notEntitled();
    this.#beats.note(lease.id, this.app.now());
    const isOff = lease.state === "ready" && lease.machine !== null && lease.machine.state !== "running" &&
      // One that is out of reach for a moment may be running.
      this.app.agents.status(lease.machine.hypervisorId).state !== "offline";
    if (isOff || (terminal !== null && terminal !== lease.terminal)) {
      const changes = {
        ...(terminal && { terminal }),
        ...(isOff && { state: "preparing", stage: "allocated" } as const),
      };
      if (!await updateActive(this.app.db, lease.id, changes)) {
        return toDesktop(this.app, await this.#require(lease.id));
      }
      Object.assign(lease, changes);
      if (isOff) this.#prepare(lease);
      this.#publish(lease, false);
    }
    return toDesktop(this.app, lease);
  }

  /** Another machine for a user whose hypervisor is gone; without any the lease stays as it is. */
  async #giveInstead(lost: LeaseDetail, request: MachineRequest): Promise<Given> {
    const { id, machine } = lost;
    if (!machine || this.#ending.has(id)) return await this.app.broker.give(request);
    const reason = `The hypervisor ${machine.hypervisorName} is offline; the user got another machine.`;
    const until = keepUntil(this.app);
    const given = await this.app.broker.giveInstead(request, {
      id,
      machineId: machine.id,
      reason,
      keepUntil: until,
    }).catch((error) => {
      if (!(error instanceof AppError) || error.code !== "no_capacity") throw error;
      const where =
        `${machine.name} is out of reach, because the hypervisor ${machine.hypervisorName} is offline.`;
      throw new AppError("no_capacity", `${where} ${error.message}`, { cause: error });
    });
    if (until === null) await this.#beginReturn(lost, null);
    await this.#afterEnd(lost, { reason, by: null });
    return given;
  }

  #prepare(lease: LeaseDetail): void {
    this.#beats.change(lease.id, { state: "preparing" });
    if (!this.#stopped) this.#preparations.begin(lease);
  }

  #listenToPreparations(): PreparationListener {
    return {
      onStage: (lease) => this.#publish(lease, false),
      onMove: (lease, failedMachineId) => {
        if (lease.machine) this.#beats.change(lease.id, { machineId: lease.machine.id });
        this.app.bus.publish({ type: "machines", ids: [failedMachineId] });
        this.#publishMachine(lease);
        this.#publish(lease, false);
      },
      onReady: (lease) => {
        this.#beats.note(lease.id, this.app.now());
        this.#beats.change(lease.id, { state: "ready" });
        this.#publish(lease, false);
      },
      onFailure: (lease, error) => this.end(lease.id, { reason: error.message, by: null, error }),
    };
  }

  async #end(leaseId: string, end: LeaseEnd): Promise<void> {
    const { reason, by, error } = end;
    const lease = await readLease(this.app.db, leaseId);
    if (!lease || lease.endedAt !== null) return this.#beats.forget(leaseId);
    this.#preparations.abandon(leaseId);
    this.app.tickets.revoke({ leaseId }, "leaseEnded");
    const kept = end.keepIfLost === true && isLost(this.app, lease) && await keepLost(this.app, lease);
    if (!kept) {
      if (lease.machine) await releaseDataDisk(this.app, lease.machine.id);
      await this.#beginReturn(lease, by);
    }
    const state = error ? "failed" : "ended";
    await finishLease(this.app.db, leaseId, { state, reason, error: error ?? null, endedAt: this.app.now() });
    await this.#afterEnd(lease, end);
  }

  /** What follows once the row says that it has ended. */
  async #afterEnd(lease: LeaseDetail, { reason, by, error }: LeaseEnd): Promise<void> {
    this.#preparations.abandon(lease.id);
    this.#beats.forget(lease.id);
    if (lease.machine) this.app.room.release(lease.machine.id, "lease");
    // Tickets that were asked for while it ended.
    this.app.tickets.revoke({ leaseId: lease.id }, "leaseEnded");
    this.#publishMachine(lease);
    this.#publish(lease, true);
    await this.#audit("lease.end", lease, by, reason, error ? "failed" : "ok");
  }

  /** The job is begun before the machine is free, so that nobody gets it in between. */
  async #beginReturn(lease: LeaseDetail, by: Actor | null): Promise<void> {
    try {
      await beginReturn(this.app, lease, by);
    } catch (error) {
      // Another job has the machine already, as its deletion or a populate: it is not given out before that ends.
      if (!(error instanceof AppError) || error.code !== "conflict") throw error;
      this.app.log.warn({ err: error, lease: lease.id }, "the machine was not returned: another job has it");
    }
  }

  #track(lease: LeaseDetail, lastAt: number): void {
    if (lease.userId === null || lease.machine === null || lease.endedAt !== null) return;
    this.app.room.promise(lease.machine.id, lease.machine.hypervisorId, lease.machine, "lease");
    this.#beats.track({
      leaseId: lease.id,
      userId: lease.userId,
      machineId: lease.machine.id,
      state: lease.state === "ready" ? "ready" : "preparing",
      returnAfterMs: returnAfterMs(lease),
      lastAt,
    });
  }

  #publish(lease: LeaseDetail, hasEnded: boolean): void {
    if (lease.machine) this.app.broker.roster.touch([lease.machine.id]);
    this.app.bus.publish({ type: "lease", id: lease.id, userId: lease.userId ?? "", ended: hasEnded });
  }

  /** Machines are shown with who uses them. */
  #publishMachine({ machine }: LeaseDetail): void {
    if (machine) this.app.bus.publish({ type: "machines", ids: [machine.id] });
  }

  #onChange(change: Change): void {
    if (this.#stopped) return;
    switch (change.type) {
      case "machines":
        for (const id of change.ids) {
          const pulse = this.#beats.ofMachine(id);
          if (pulse) {
            this.app.bus.publish({ type: "lease", id: pulse.leaseId, userId: pulse.userId, ended: false });
          }
        }
        return;
      case "user":
        return this.#background(this.reconcile(change.id));
      case "entitlements":
      case "machine-removed":
      case "desktop-pool-removed":
        return this.#background(this.reconcile());
    }
  }

  async #writeHeartbeats(): Promise<void> {
    await writeHeartbeats(this.app.db, this.#beats.takeUnwritten(), this.app.now());
  }

  async #require(leaseId: string): Promise<LeaseDetail> {
    const lease = await readLease(this.app.db, leaseId);
    if (lease) return lease;
    throw new AppError("internal", `Lease ${leaseId} has vanished.`);
  }

  #audit(
    action: string,
    lease: LeaseDetail,
    by: Actor | null,
    detail: string,
    outcome: "ok" | "failed" = "ok",
  ): Promise<void> {
    const actor = by ?? (action === "lease.end" ? null : { username: lease.username, address: null });
    const subject = {
      subjectId: lease.id,
      subjectName: `${lease.username} on ${lease.machine?.name ?? "?"}`,
    };
    return audit(this.app, { actor, action, ...subject, outcome, detail });
  }

  #background(work: Promise<unknown>): void {
    const tracked = work
      .catch((error) => this.app.log.error({ err: error }, "work on leases failed"))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

const returnAfterMs = ({ policy }: LeaseDetail) => (policy?.returnAfterMinutes ?? 0) * 60_000;

/** Why an active lease cannot go on, for people; null if it can. */
function groundlessness(lease: LeaseDetail): string | null {
  if (lease.machine === null) return "The machine was deleted.";
  if (lease.desktopPoolId === null) return "The desktop pool was deleted.";
  if (lease.userId === null) return "The user was deleted.";
  if (!lease.entitled) return "The user may not use this desktop pool any more.";
  return null;
}
