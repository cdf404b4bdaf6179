/**
 * What is given away on each hypervisor, kept up to date by the agents' events: what runs, and what has been promised to
 * machines that do not run yet. Sums are changed by one machine at a time, so that looking costs nothing.
 */
import type { App } from "../app.ts";
import { add, type Committed, type MachineSize, nothingCommitted, takesRoom } from "./capacity.ts";

/** Who keeps room for a machine: a lease as long as it lasts, a start until the machine runs. */
export type Keeper = "lease" | "start";

interface Promised extends MachineSize {
  hypervisorId: string;
  keepers: Set<Keeper>;
}

/** The machines on one hypervisor that take room, and their sums. */
class Host {
  readonly running = new Map<string, MachineSize>();
  readonly ofRunning: Committed = { ...nothingCommitted };
  /** Running machines and those with a promise, each once. */
  readonly taken: Committed = { ...nothingCommitted };
  /** Machines that users hold. */
  readonly leased: Committed = { ...nothingCommitted };
}

export class Room {
  #hosts = new Map<string, Host>();
  #promises = new Map<string, Promised>();
  /** Goes up with every change: what was computed from these sums may be wrong then. */
  version = 0;
  readonly close: () => void;

  constructor(private readonly agents: App["agents"]) {
    this.close = agents.listen((change) => {
      if (change.type !== "domains") return;
      if (change.complete) this.#recount(change.hypervisorId);
      else for (const id of change.ids) this.#look(change.hypervisorId, id);
    });
  }

  /** Per hypervisor: what runs. */
  running(): ReadonlyMap<string, Readonly<Committed>> {
    return new Map([...this.#hosts].map(([id, host]) => [id, host.ofRunning]));
  }

  /** What runs on a hypervisor or has been promised there; kept up to date. */
  taken(hypervisorId: string): Readonly<Committed> {
    return this.#host(hypervisorId).taken;
  }

  /** What users hold there, whether it runs or not; kept up to date. */
  leased(hypervisorId: string): Readonly<Committed> {
    return this.#host(hypervisorId).leased;
  }

  /** Machines that room is kept for: they may start however full their hypervisor is. */
  get promised(): { has(machineId: string): boolean } {
    return this.#promises;
  }

  /** Keeps room for a machine until `release`, if it does not run anyhow. */
  promise(machineId: string, hypervisorId: string, { memoryMiB, vcpus }: MachineSize, keeper: Keeper): void {
    const known = this.#promises.get(machineId);
    if (known && known.hypervisorId !== hypervisorId) {
      for (const other of [...known.keepers]) this.release(machineId, other);
    }
    const promise = this.#promises.get(machineId) ??
      { hypervisorId, memoryMiB, vcpus, keepers: new Set<Keeper>() };
    if (promise.keepers.has(keeper)) return;
    const host = this.#host(hypervisorId);
    if (promise.keepers.size === 0 && !host.running.has(machineId)) add(host.taken, promise, 1);
    if (keeper === "lease") add(host.leased, promise, 1);
    promise.keepers.add(keeper);
    this.#promises.set(machineId, promise);
    this.version++;
  }

  release(machineId: string, keeper: Keeper): void {
    const promise = this.#promises.get(machineId);
    if (!promise?.keepers.delete(keeper)) return;
    const host = this.#host(promise.hypervisorId);
    if (keeper === "lease") add(host.leased, promise, -1);
    if (promise.keepers.size === 0) {
      this.#promises.delete(machineId);
      if (!host.running.has(machineId)) add(host.taken, promise, -1);
    }
    this.version++;
  }

  #host(hypervisorId: string): Host {
    const host = this.#hosts.get(hypervisorId) ?? new Host();
    this.#hosts.set(hypervisorId, host);
    return host;
  }

  #recount(hypervisorId: string): void {
    const ids = new Set(this.#host(hypervisorId).running.keys());
    for (const { id } of this.agents.domains(hypervisorId)) ids.add(id);
    for (const id of ids) this.#look(hypervisorId, id);
  }

  #look(hypervisorId: string, id: string): void {
    const domain = this.agents.domain(id, hypervisorId)?.domain;
    const now = domain && takesRoom(domain) ? { memoryMiB: domain.memoryMiB, vcpus: domain.vcpus } : null;
    const host = this.#host(hypervisorId);
    const before = host.running.get(id) ?? null;
    if (before?.memoryMiB === now?.memoryMiB && before?.vcpus === now?.vcpus) return;
    const promise = this.#promises.get(id);
    const promised = promise?.hypervisorId === hypervisorId ? promise : null;
    const takenBefore = before ?? promised;
    const takenNow = now ?? promised;
    if (before) add(host.ofRunning, before, -1);
    if (now) add(host.ofRunning, now, 1);
    if (takenBefore) add(host.taken, takenBefore, -1);
    if (takenNow) add(host.taken, takenNow, 1);
    if (now) host.running.set(id, now);
    else host.running.delete(id);
    this.version++;
  }
}
