/**
 * The connections to all agents. Each keeps itself alive: it reconnects, takes a snapshot, then changes, and holds the
 * live picture of its hypervisor in memory. Nothing here touches the database; rows follow by `listen`.
 */
import type { Agent, Domain, DomainLoad, Hello } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { HostFacts, HostLoad, HypervisorState } from "../../contracts/hypervisor.ts";
import type { Duplex } from "node:stream";
import type { Logger } from "../../lib/log.ts";
import type { AgentAddress, AgentLink, ConnectAgent } from "./agent_link.ts";
import { AgentConnection, type ConnectionTimes } from "./connection.ts";
import type { HostChange } from "./host_view.ts";

export type { AgentAddress };

const dialTimeoutMs = 5_000;

export interface ConnectionStatus {
  state: HypervisorState;
  /** Why it is degraded or offline, and what to do. */
  reason: string | null;
  /** Unix ms of the last change of `state`. */
  since: number;
  /** Whether its agent can be asked for anything now. */
  usable: boolean;
  hello: Hello | null;
  facts: HostFacts | null;
  load: HostLoad | null;
}

/** A domain as it is now. */
export interface LiveDomain {
  domain: Domain;
  load: DomainLoad | null;
}

export type AgentChange = HostChange & { hypervisorId: string };
type Listener = (change: AgentChange) => void;

export interface AgentConnectionsOptions {
  connect: ConnectAgent;
  log: Logger;
  now(): number;
  times?: Partial<ConnectionTimes>;
}

export class AgentConnections {
  #connections = new Map<string, AgentConnection>();
  #listeners = new Set<Listener>();
  #waiting = new Map<string, Set<() => void>>();
  #stopped = new AbortController();

  constructor(private readonly options: AgentConnectionsOptions) {}

  /** Starts connecting to these hypervisors; returns at once. */
  start(addresses: AgentAddress[]): void {
    for (const address of addresses) this.add(address);
  }

  /** Ends every connection. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([...this.#connections.values()].map((connection) => connection.stop()));
    this.#connections.clear();
  }

  /** Keeps a connection to one more hypervisor from now on. */
  add(address: AgentAddress): void {
    if (this.#connections.has(address.id) || this.#stopped.signal.aborted) return;
    const connection = new AgentConnection({
      ...this.options,
      address,
      onChange: (change) => this.#publish({ ...change, hypervisorId: address.id }),
    });
    this.#connections.set(address.id, connection);
    // Until the agent has told, nothing is known of its domains.
    this.#publish({ type: "domains", hypervisorId: address.id, ids: [], complete: true });
    connection.start();
  }

  /** Forgets a hypervisor. */
  async remove(hypervisorId: string): Promise<void> {
    const connection = this.#connections.get(hypervisorId);
    this.#connections.delete(hypervisorId);
    await connection?.stop();
  }

  /** Uses the new name in messages from now on. */
  rename(hypervisorId: string, name: string): void {
    this.#connections.get(hypervisorId)?.rename(name);
  }

  /** Reaches it by another address from now on. */
  async move(address: AgentAddress): Promise<void> {
    await this.remove(address.id);
    this.add(address);
  }

  /** Connects to an agent that is not known yet, to look before it is added. Close it afterwards. */
  probe(address: Omit<AgentAddress, "id" | "name">, signal: AbortSignal): Promise<AgentLink> {
    return this.options.connect(
      { id: "", name: address.ssh?.address ?? address.socketPath, ...address },
      signal,
    );
  }

  /**
   * Connects to a guest's display, by the same connection as its agent: displays listen on the hypervisor's loopback.
   * @throws {AppError} `unavailable`
   */
  async dialDisplay(hypervisorId: string, host: string, port: number): Promise<Duplex> {
    return await this.#require(hypervisorId).dial(host, port, AbortSignal.timeout(dialTimeoutMs));
  }

  /** @throws {AppError} `unavailable` with the hypervisor's name and the reason unless its agent can be used now. */
  of(hypervisorId: string): Agent {
    return this.#require(hypervisorId).usableAgent();
  }

  #require(hypervisorId: string): AgentConnection {
    const connection = this.#connections.get(hypervisorId);
    if (connection) return connection;
    throw new AppError("unavailable", "The hypervisor is not known to this dashboard any more.");
  }

  status(hypervisorId: string): ConnectionStatus {
    return this.#connections.get(hypervisorId)?.status() ?? {
      state: "offline",
      reason: "There is no connection to its agent.",
      since: this.options.now(),
      usable: false,
      hello: null,
      facts: null,
      load: null,
    };
  }

  /** The machine's domain as it is now; null while its hypervisor is offline or when there is none. */
  domain(machineId: string, hypervisorId?: string): LiveDomain | null {
    if (hypervisorId !== undefined) return this.#connections.get(hypervisorId)?.domain(machineId) ?? null;
    for (const connection of this.#connections.values()) {
      const live = connection.domain(machineId);
      if (live) return live;
    }
    return null;
  }

  /** Every domain of a hypervisor, managed or not; empty while it is offline. */
  domains(hypervisorId: string): Domain[] {
    return this.#connections.get(hypervisorId)?.domains() ?? [];
  }

  /** Every domain of every hypervisor that is online. */
  allDomains(): Domain[] {
    return [...this.#connections.values()].flatMap((connection) => connection.domains());
  }

  /**
   * Takes in what an agent answered about a domain, unless its events have told something since `seen` was read: they
   * come on another connection, and what they said is newer.
   */
  learn(hypervisorId: string, domain: Domain, seen: LiveDomain | null): void {
    this.#connections.get(hypervisorId)?.learn(domain, seen?.domain ?? null);
  }

  /** Waits until the hypervisor's agent can be used. @throws the signal's reason when it is aborted first. */
  untilUsable(hypervisorId: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const usable = () => this.#connections.get(hypervisorId)?.usable ?? false;
    if (signal.aborted) return Promise.reject(signal.reason);
    if (usable()) return Promise.resolve();
    const abort = () => settle(() => reject(signal.reason));
    const unlisten = this.listen(() => usable() && settle(resolve));
    const settle = (finish: () => void) => {
      unlisten();
      signal.removeEventListener("abort", abort);
      finish();
    };
    signal.addEventListener("abort", abort);
    return promise;
  }

  /**
   * Waits until the machine's domain satisfies the predicate. It is asked at once and then at each change; never by time.
   * @throws the signal's reason when it is aborted first.
   */
  waitForDomain(
    machineId: string,
    predicate: (live: LiveDomain) => boolean,
    signal: AbortSignal,
  ): Promise<LiveDomain> {
    const { promise, resolve, reject } = Promise.withResolvers<LiveDomain>();
    const abort = () => settle(() => reject(signal.reason));
    const look = () => {
      const live = this.domain(machineId);
      if (live && predicate(live)) settle(() => resolve(live));
    };
    const waiting = this.#waiting.get(machineId) ?? new Set();
    const settle = (finish: () => void) => {
      waiting.delete(look);
      if (waiting.size === 0) this.#waiting.delete(machineId);
      signal.removeEventListener("abort", abort);
      finish();
    };
    if (signal.aborted) return Promise.reject(signal.reason);
    this.#waiting.set(machineId, waiting.add(look));
    signal.addEventListener("abort", abort);
    look();
    return promise;
  }

  /** Tells about every change of every hypervisor; returns the function that ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #publish(change: AgentChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.options.log.error({ err: error, change: change.type }, "a listener to agents failed");
      }
    }
    if (change.type !== "domains") return;
    const ids = change.complete ? [...this.#waiting.keys()] : change.ids;
    for (const id of ids) for (const look of [...this.#waiting.get(id) ?? []]) look();
  }
}
