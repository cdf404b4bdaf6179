/** Who is still there: the last sign of life of every active lease, in memory, written to the database in batches. */

export interface Pulse {
  leaseId: string;
  userId: string;
  machineId: string;
  state: "preparing" | "ready";
  /** The lease ends this long after the last sign of life. */
  returnAfterMs: number;
  lastAt: number;
}

export class Heartbeats {
  #pulses = new Map<string, Pulse>();
  #byMachine = new Map<string, string>();
  /** Leases whose last sign of life is not in the database yet. */
  #unwritten = new Set<string>();

  get size(): number {
    return this.#pulses.size;
  }

  get(leaseId: string): Readonly<Pulse> | undefined {
    return this.#pulses.get(leaseId);
  }

  /** The active lease of a machine. */
  ofMachine(machineId: string): Readonly<Pulse> | undefined {
    const leaseId = this.#byMachine.get(machineId);
    return leaseId === undefined ? undefined : this.#pulses.get(leaseId);
  }

  track(pulse: Pulse): void {
    this.forget(pulse.leaseId);
    this.#pulses.set(pulse.leaseId, { ...pulse });
    this.#byMachine.set(pulse.machineId, pulse.leaseId);
  }

  change(leaseId: string, changes: Partial<Pick<Pulse, "state" | "machineId" | "returnAfterMs">>): void {
    const pulse = this.#pulses.get(leaseId);
    if (pulse) this.track({ ...pulse, ...changes });
  }

  forget(leaseId: string): void {
    const pulse = this.#pulses.get(leaseId);
    if (!pulse) return;
    this.#pulses.delete(leaseId);
    this.#unwritten.delete(leaseId);
    if (this.#byMachine.get(pulse.machineId) === leaseId) this.#byMachine.delete(pulse.machineId);
  }

  /** Notes a sign of life; false when the lease is not active. */
  note(leaseId: string, at: number): boolean {
    const pulse = this.#pulses.get(leaseId);
    if (!pulse) return false;
    pulse.lastAt = Math.max(pulse.lastAt, at);
    this.#unwritten.add(leaseId);
    return true;
  }

  /** Leases whose time is up; those being prepared are never among them. `leastMs` is granted to every lease. */
  expired(now: number, leastMs: number): Pulse[] {
    return [...this.#pulses.values()].filter((pulse) =>
      pulse.state === "ready" && pulse.lastAt + Math.max(pulse.returnAfterMs, leastMs) <= now
    );
  }

  /** Hands over the leases with unwritten signs of life. */
  takeUnwritten(): string[] {
    const ids = [...this.#unwritten];
    this.#unwritten.clear();
    return ids;
  }
}
