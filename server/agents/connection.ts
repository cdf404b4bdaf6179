/** One agent: connect, hello, snapshot, changes; reconnect when it ends. */
import {
  type Agent,
  agentContract,
  type AgentEvent,
  type Domain,
  type Hello,
} from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { HypervisorState } from "../../contracts/hypervisor.ts";
import type { Logger } from "../../lib/log.ts";
import type { Duplex } from "node:stream";
import type { AgentAddress, AgentLink, ConnectAgent } from "./agent_link.ts";
import type { ConnectionStatus, LiveDomain } from "./connections.ts";
import { type HostChange, HostView } from "./host_view.ts";
import { SshFailure } from "./ssh/failure.ts";
import { waitUnlessAborted } from "../../lib/wait.ts";

export interface ConnectionTimes {
  /** No event for this long: the agent is taken for dead. */
  heartbeatTimeoutMs: number;
  /** Waits before each next attempt; the last one repeats. */
  retryDelaysMs: readonly number[];
}

const defaultTimes = (address: AgentAddress): ConnectionTimes => ({
  heartbeatTimeoutMs: 15_000,
  retryDelaysMs: address.ssh ? [250, 500, 1000, 2000, 4000, 8000, 15_000] : [100, 200, 400, 800, 1500, 2000],
});

export interface AgentConnectionOptions {
  address: AgentAddress;
  connect: ConnectAgent;
  onChange(change: HostChange): void;
  log: Logger;
  now(): number;
  times?: Partial<ConnectionTimes>;
}

export class AgentConnection {
  /** While a conversation goes on. */
  #link: AgentLink | null = null;
  #view = new HostView();
  #name: string;
  #state: HypervisorState = "offline";
  #reason: string | null = "The first connection is being made.";
  #since: number;
  #usable = false;
  #times: ConnectionTimes;
  #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(private readonly options: AgentConnectionOptions) {
    this.#name = options.address.name;
    this.#since = options.now();
    this.#times = { ...defaultTimes(options.address), ...options.times };
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  rename(name: string): void {
    this.#name = name;
  }

  get usable(): boolean {
    return this.#usable;
  }

  learn(domain: Domain, seen: Domain | null): void {
    if (!this.#usable || (this.#view.domains.get(domain.id) ?? null) !== seen) return;
    this.#receive({ type: "domain", domain });
  }

  usableAgent(): Agent {
    if (this.#usable && this.#link) return this.#link.agent;
    throw this.#unusable();
  }

  async dial(host: string, port: number, signal: AbortSignal): Promise<Duplex> {
    if (!this.#link) throw this.#unusable();
    return await this.#link.dial(host, port, signal);
  }

  #unusable(): AppError {
    return new AppError("unavailable", `Hypervisor ${this.#name} cannot be used now: ${this.#reason}`);
  }

  status(): ConnectionStatus {
    const { hello, facts, load } = this.#view;
    return {
      state: this.#state,
      reason: this.#reason,
      since: this.#since,
      usable: this.#usable,
      hello,
      facts,
      load,
    };
  }

  domain(id: string): LiveDomain | null {
    const domain = this.#usable ? this.#view.domains.get(id) : undefined;
    return domain ? { domain, load: this.#view.domainLoads.get(id) ?? null } : null;
  }

  domains(): Domain[] {
    return this.#usable ? [...this.#view.domains.values()] : [];
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; failures++) {
      let waitMs = 0;
      try {
        await this.#converse(() => failures = 0);
      } catch (error) {
        if (signal.aborted) return;
        this.#goOffline(error);
        waitMs = this.#retryDelayMs(error, failures);
      }
      await waitUnlessAborted(waitMs, signal);
    }
  }

  #retryDelayMs(error: unknown, failures: number): number {
    const delays = this.#times.retryDelaysMs;
    const delayMs = delays[Math.min(failures, delays.length - 1)] ?? 1000;
    if (!this.options.address.ssh) return delayMs;
    // Where only a person can help there is no need to look like an attack to the host meanwhile.
    const isRefused = error instanceof SshFailure && error.about !== "address";
    // Spread, so that many hypervisors lost at once do not come back at once.
    return (isRefused ? delays.at(-1)! : delayMs) * (0.7 + 0.3 * Math.random());
  }

  /** One connection from its beginning to its end; always throws in the end, with the reason. */
  async #converse(onConnected: () => void): Promise<never> {
    const link = await this.options.connect(this.options.address, this.#stop.signal);
    const broken = new AbortController();
    void link.closed?.then((reason) => broken.abort(reason));
    this.#link = link;
    try {
      return await this.#listen(link.agent, broken, onConnected);
    } finally {
      // Whatever still goes through it ends now: what is not known any more must not be used.
      this.#usable = false;
      this.#link = null;
      link.close();
    }
  }

  async #listen(agent: Agent, broken: AbortController, onConnected: () => void): Promise<never> {
    const { heartbeatTimeoutMs } = this.#times;
    const complain = () =>
      broken.abort(
        new AppError("unavailable", `its agent has been silent for ${heartbeatTimeoutMs / 1000} s.`),
      );
    let timer = setTimeout(complain, heartbeatTimeoutMs);
    const signal = AbortSignal.any([this.#stop.signal, broken.signal]);
    try {
      this.#requireSameContract(await agent.hello(signal));
      for await (const event of agent.events(signal)) {
        clearTimeout(timer);
        timer = setTimeout(complain, heartbeatTimeoutMs);
        if (event.type === "snapshot") onConnected();
        this.#receive(event);
      }
      throw new AppError("unavailable", "its agent closed the connection; it may be restarting.");
    } catch (error) {
      throw broken.signal.aborted ? broken.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #requireSameContract(hello: Hello): void {
    if (hello.contract === agentContract) return;
    this.#view.hello = hello;
    const [older, remedy] = hello.contract < agentContract
      ? [
        "older",
        this.options.address.ssh
          ? "it cannot update itself yet; enrol the hypervisor again"
          : "install this dashboard's kvm-vdi there with `kvm-vdi agent --install`",
      ]
      : ["newer", "update this dashboard"];
    throw new ContractMismatch(
      `its agent (version ${hello.version}, contract ${hello.contract}) is ${older} than this dashboard ` +
        `(contract ${agentContract}): ${remedy}.`,
    );
  }

  #receive(event: AgentEvent): void {
    const changes = this.#view.apply(event);
    // Usable before anybody is told, so that whoever is told can act at once.
    if (event.type === "snapshot") this.#usable = true;
    if (event.type === "snapshot" || event.type === "libvirt") this.#judge();
    for (const change of changes) this.options.onChange(change);
  }

  #judge(): void {
    const libvirt = this.#view.libvirt;
    if (libvirt?.connected) this.#setState("online", null);
    else this.#setState("degraded", libvirt?.reason ?? "its agent has no connection to libvirt.");
  }

  #goOffline(error: unknown): void {
    this.#usable = false;
    const reason = error instanceof AppError
      ? error.message
      : `its agent does not answer: ${messageOf(error)}`;
    if (!(error instanceof AppError)) {
      this.options.log.warn({ err: error, hypervisor: this.#name }, "agent lost");
    }
    const changed = this.#setState(error instanceof ContractMismatch ? "degraded" : "offline", reason);
    if (!changed) return;
    this.options.onChange({ type: "status" });
    this.options.onChange({ type: "domains", ids: [...this.#view.domains.keys()], complete: true });
  }

  /** Returns whether anything is different now. */
  #setState(state: HypervisorState, reason: string | null): boolean {
    if (state === this.#state && reason === this.#reason) return false;
    if (state !== this.#state) {
      this.#since = this.options.now();
      this.options.log.info({ hypervisor: this.#name, state, reason }, "hypervisor changed state");
    }
    this.#state = state;
    this.#reason = reason;
    return true;
  }
}

class ContractMismatch extends AppError {
  constructor(message: string) {
    super("unavailable", message);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
