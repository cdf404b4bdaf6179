import { join } from "node:path";
import { agentContract, type AgentEvent, type Hello, type LibvirtStatus } from "../contracts/agent.ts";
import type { AgentSettings, HostFacts, HostLoad } from "../contracts/hypervisor.ts";
import { AppError } from "../contracts/errors.ts";
import { isOpenJob } from "../contracts/job.ts";
import type { Logger } from "../lib/log.ts";
import { readCommit, version } from "../lib/version.ts";
import { serveApi } from "./api.ts";
import type { AgentConfig } from "./config.ts";
import { findClosedParents, makeDirectories } from "./directories.ts";
import { EventHub } from "./events/hub.ts";
import { Reactions } from "./events/reactions.ts";
import { Executable } from "./executable.ts";
import type { Host, JobOperations } from "./host.ts";
import { Receivers } from "./images/receiver.ts";
import { DomainTable } from "./inventory/domain_table.ts";
import {
  type Acceleration,
  chooseAcceleration,
  readBareFacts,
  readHostFacts,
} from "./inventory/host_facts.ts";
import { LoadMeter } from "./inventory/host_load.ts";
import { readStorage } from "./inventory/storage.ts";
import { JobFiles } from "./job_files.ts";
import { Jobs } from "./jobs.ts";
import { watchLibvirt } from "./libvirt/events.ts";
import { Virsh } from "./libvirt/virsh.ts";
import { Locks } from "./locks.ts";
import { jobOperations } from "./operations/job_operations.ts";
import { Power } from "./operations/power.ts";
import { sweepScratch } from "./operations/scratch.ts";
import { sweepScreenshots } from "./operations/screenshot.ts";
import { isUp } from "./operations/start_machine.ts";
import { Tickets } from "./operations/ticket.ts";
import { Settings } from "./settings.ts";
import { claimSocket, lockStateDir } from "./socket.ts";
import { Uploads } from "./uploads/uploads.ts";

const loadIntervalMs = 5_000;
const factsIntervalMs = 60_000;
const addressIntervalMs = 30_000;
const uploadSweepMs = 3600_000;
/** `virsh event` does not say when it has begun to listen: a second look covers what came before. */
const secondLookMs = 1_000;

/** A running agent: everything that lives as long as it does. */
export class Agent {
  readonly hub = new EventHub();
  readonly host: Host;
  readonly power: Power;
  readonly tickets: Tickets;
  readonly executable: Executable;
  jobs!: Jobs;
  readonly uploads: Uploads;
  readonly #reactions: Reactions;
  #stack: AsyncDisposableStack | undefined;
  readonly #meter = new LoadMeter();
  readonly #abort = new AbortController();
  readonly #tasks: Promise<unknown>[] = [];
  #libvirt: LibvirtStatus = { connected: false, since: Date.now(), reason: "The agent is starting." };
  #resyncing = false;

  private constructor(
    readonly hello: Hello,
    private readonly settings: Settings,
    log: Logger,
    private acceleration: Acceleration,
    private hostFacts: HostFacts,
    private load: HostLoad,
  ) {
    const virsh = new Virsh(settings.config.libvirtUri);
    const domains = new DomainTable({
      virsh,
      log,
      scratchDirs: () => settings.scratchDirs(),
      onChange: (id, domain) => {
        if (this.#resyncing) return;
        this.hub.emit(domain ? { type: "domain", domain } : { type: "domain-removed", id });
      },
    });
    this.host = {
      get config() {
        return settings.config;
      },
      imageDirs: () => settings.imageDirs(),
      scratchDirs: () => settings.scratchDirs(),
      log,
      virsh,
      locks: new Locks(),
      domains,
      receivers: new Receivers(),
      facts: () => this.hostFacts,
    };
    this.executable = new Executable({
      log,
      serviceManager: hostFacts.serviceManager,
      drain: () => this.jobs.drain(beingUpdated()),
    });
    this.power = new Power(this.host);
    this.uploads = new Uploads(this.host);
    this.tickets = new Tickets(this.host);
    this.#reactions = new Reactions(this.host, this.hub, this.power, this.tickets);
  }

  /**
   * Starts an agent and serves its API until `stop()`.
   * @throws {AppError} `conflict` when another agent uses the socket or the state directory.
   */
  static async start(started: AgentConfig, log: Logger, operations = jobOperations): Promise<Agent> {
    await using undo = new AsyncDisposableStack();
    const settings = await Settings.load(started);
    const { config } = settings;
    await makeDirectories(config);
    undo.use(await lockStateDir(config.stateDir));
    await claimSocket(config.socketPath);
    await sweepScreenshots(config);
    const acceleration = await chooseAcceleration(config);
    log.info(acceleration, "acceleration of new machines");
    const [facts, load] = [await readBareFacts(config, acceleration), await new LoadMeter().readHost(config)];
    const agent = new Agent(await makeHello(), settings, log, acceleration, facts, load);
    await agent.#run(operations);
    undo.defer(() => agent.#end());
    undo.use(await serveApi(agent, config.socketPath));
    for (const path of await findClosedParents(config.imageDir)) {
      log.warn({ path }, "QEMU's user cannot get through this directory to the images");
    }
    agent.#stack = undo.move();
    return agent;
  }

  /** Ends the streams, interrupts the jobs, waits until they have undone their work, and frees the socket. */
  async stop(): Promise<void> {
    await this.#stack?.disposeAsync();
  }

  /**
   * Changes where files are kept or how guests run; new machines follow at once, files stay where they are.
   * @throws {AppError} `conflict` while a job works in the directories; `invalid` when one cannot be used.
   */
  async changeSettings(changes: Partial<AgentSettings>): Promise<AgentSettings> {
    const { domainType, ...directories } = changes;
    if (Object.keys(directories).length > 0 && this.jobs.list().some(isOpenJob)) {
      throw new AppError("conflict", "Change the agent's directories: a job is running. Wait for it to end.");
    }
    await this.settings.change(changes);
    const { config } = this.host;
    if (domainType !== undefined) this.acceleration = await chooseAcceleration(config, this.#abort.signal);
    const settings = this.settings.current;
    this.host.log.info(settings, "settings changed");
    const storage = await readStorage(config);
    this.hostFacts = { ...this.hostFacts, ...this.acceleration, settings, storage };
    this.hub.emit({ type: "facts", facts: this.hostFacts });
    return settings;
  }

  snapshot(): AgentEvent {
    return {
      type: "snapshot",
      hello: this.hello,
      libvirt: this.#libvirt,
      facts: this.hostFacts,
      load: this.load,
      domains: this.host.domains.all(),
      jobs: this.jobs.list(),
    };
  }

  async #run(operations: JobOperations): Promise<void> {
    const { host, hub } = this;
    const files = new JobFiles(join(host.config.stateDir, "jobs"), host.log);
    this.jobs = await Jobs.load({
      host,
      operations,
      files,
      onChange: (job) => hub.emit({ type: "job", job }),
    });
    await this.uploads.load();
    this.#every(uploadSweepMs, () => this.uploads.sweep());
    this.#tasks.push(watchLibvirt(host.virsh, host.log, {
      onEvent: (event) => this.#reactions.handle(event),
      onConnected: (signal) => this.#resync(signal),
      onStatus: (libvirt) => this.#setLibvirt(libvirt),
    }, this.#abort.signal));
    this.#every(loadIntervalMs, () => this.#measure());
    this.#every(factsIntervalMs, () => this.#readFacts());
    this.#every(addressIntervalMs, () => this.#lookUpAddresses());
  }

  async #end(): Promise<void> {
    this.#abort.abort();
    await this.jobs.stop();
    await this.power.stop();
    this.tickets.stop();
    await Promise.all(this.#tasks);
  }

  #setLibvirt(libvirt: LibvirtStatus): void {
    const known = this.#libvirt;
    if (known.connected === libvirt.connected && known.reason === libvirt.reason) return;
    const same = known.connected === libvirt.connected;
    this.#libvirt = same ? { ...libvirt, since: known.since } : libvirt;
    this.hub.emit({ type: "libvirt", libvirt: this.#libvirt });
  }

  /** Reads everything again, tells it as a whole, and sees to what was missed meanwhile. */
  async #resync(signal: AbortSignal): Promise<void> {
    const { host } = this;
    this.#resyncing = true;
    try {
      await host.domains.sync({ everything: true });
    } finally {
      this.#resyncing = false;
      this.hub.emit({ type: "domains", domains: host.domains.all() });
    }
    await this.#readFacts();
    await sweepScratch(host);
    await this.jobs.recover();
    const again = setTimeout(
      () => this.#try("look again", () => host.domains.sync({ everything: true })),
      secondLookMs,
    );
    signal.addEventListener("abort", () => clearTimeout(again), { once: true });
    for (const domain of host.domains.all().filter(isUp)) {
      this.#try("read the viewers", () => this.#reactions.lookAtDisplay(domain.id));
    }
    this.#try("read the addresses", () => this.#lookUpAddresses());
  }

  async #readFacts(): Promise<void> {
    const { config, virsh } = this.host;
    const facts = await readHostFacts(config, this.acceleration, virsh, this.#abort.signal);
    const essence = ({ storage: _storage, ...rest }: HostFacts) => JSON.stringify(rest);
    const changed = essence(facts) !== essence(this.hostFacts);
    this.hostFacts = facts;
    if (changed) this.hub.emit({ type: "facts", facts });
  }

  async #measure(): Promise<void> {
    const { config, domains, virsh } = this.host;
    this.load = await this.#meter.readHost(config);
    const stats = this.#libvirt.connected
      ? await virsh.domainStats({ signal: this.#abort.signal })
      : new Map();
    const loads = this.#meter.readDomains(stats, (name) => domains.byName(name)?.id);
    this.hub.emit({ type: "load", load: this.load, domains: loads });
    if (!this.#libvirt.connected) return;
    const missed = domains.all().filter((domain) => isUp(domain) !== stats.has(domain.name));
    await Promise.all(missed.map((domain) => domains.refresh(domain.id)));
  }

  async #lookUpAddresses(): Promise<void> {
    if (!this.#libvirt.connected) return;
    const lacking = this.host.domains.all()
      .filter(({ state, addresses, network }) =>
        state === "running" && addresses.length === 0 && network !== null
      );
    for (const { id } of lacking) await this.#reactions.lookUpAddresses(id);
  }

  /** Repeats a task until the agent ends, never two at a time. */
  #every(intervalMs: number, task: () => Promise<void>): void {
    let running = false;
    const timer = setInterval(() => {
      if (running) return;
      running = true;
      this.#try("keep the picture up to date", task, () => running = false);
    }, intervalMs);
    this.#abort.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  }

  /** Runs something whose failure the next time, or the next resync, makes good. */
  #try(what: string, task: () => Promise<unknown>, after?: () => void): void {
    const work = task().catch((error) => {
      if (!this.#abort.signal.aborted) this.host.log.warn({ err: error }, `could not ${what}`);
    }).finally(() => {
      after?.();
      this.#tasks.splice(this.#tasks.indexOf(work), 1);
    });
    this.#tasks.push(work);
  }
}

const beingUpdated = () =>
  new AppError(
    "unavailable",
    "The hypervisor's agent is being updated and restarts once its running jobs have ended. Try again in a moment.",
  );

const makeHello = async (): Promise<Hello> => ({
  contract: agentContract,
  version,
  commit: await readCommit(),
  hostname: Deno.hostname(),
  pid: Deno.pid,
  startedAt: Date.now(),
});
