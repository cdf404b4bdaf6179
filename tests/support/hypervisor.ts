import { join } from "node:path";
import type { AgentJob, Domain, MachineSpec } from "../../contracts/agent.ts";
import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { selfCommand } from "../../lib/version.ts";
import { SocketAgent } from "../../server/agents/socket_agent.ts";
import { AgentEvents } from "./agent_events.ts";
import { eventually } from "./eventually.ts";

const root = new URL("../..", import.meta.url).pathname;

export interface TestHypervisorOptions {
  /** Begins the name of every domain that the test makes. */
  prefix: string;
  /** Put before every command that talks to libvirt, to reach one in a namespace of its own. */
  enter?: readonly string[];
}

/** A real agent, as a process of its own with directories of its own, on the real libvirt. */
export class TestHypervisor implements AsyncDisposable {
  readonly agent: SocketAgent;
  readonly socketPath: string;
  readonly imageDir: string;
  readonly isoDir: string;
  readonly scratchDir: string;
  events!: AgentEvents;
  #process: RunningProcess | undefined;
  readonly #ids = new Set<string>();

  private constructor(readonly dir: string, private readonly options: TestHypervisorOptions) {
    this.socketPath = join(dir, "agent.sock");
    this.agent = new SocketAgent(this.socketPath);
    this.imageDir = join(dir, "images");
    this.isoDir = join(dir, "iso");
    this.scratchDir = join(dir, "scratch");
  }

  static async start(options: TestHypervisorOptions): Promise<TestHypervisor> {
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
    // QEMU runs as another user.
    await Deno.chmod(dir, 0o755);
    return await TestHypervisor.startIn(dir, options);
  }

  /** Starts an agent on existing directories. @throws what it said, when it ends instead. */
  static async startIn(dir: string, options: TestHypervisorOptions): Promise<TestHypervisor> {
    const hypervisor = new TestHypervisor(dir, options);
    await hypervisor.startAgent();
    return hypervisor;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  /** Starts the agent again after `stopAgent()` or `killAgent()`; resolves once it is connected to libvirt. */
  async startAgent(): Promise<void> {
    const argv = selfCommand([
      "agent",
      ...["--socket", this.socketPath, "--state-dir", this.dir, "--domain-type", "qemu"],
      "--exit-with-parent",
    ]);
    this.#process = spawn([...this.options.enter ?? [], ...argv], {
      stdin: true,
      stderr: "piped",
      cwd: root,
    });
    const { status, stderrTail, pid } = this.#process;
    let failure: Error | undefined;
    void status.then(({ code }) => {
      failure = new Error(`The agent ended with exit code ${code}: ${stderrTail()}`);
    });
    const answer = await eventually(
      "the agent answers",
      async () => failure ?? (await this.agent.hello()).pid === pid,
      { timeoutMs: 20_000, everyMs: 50 },
    );
    if (answer instanceof Error) throw answer;
    this.events = new AgentEvents(this.agent);
    await this.events.until(
      "the agent is connected to libvirt",
      () =>
        this.events.all.some((event) =>
          (event.type === "snapshot" || event.type === "libvirt") && event.libvirt.connected
        ),
    );
  }

  /** SIGTERM; resolves with the exit code. */
  async stopAgent(): Promise<number> {
    await this.events[Symbol.asyncDispose]();
    Deno.kill(this.pid, "SIGTERM");
    return (await this.#process!.status).code;
  }

  /** SIGKILL of the agent alone, as a crash would. */
  async killAgent(): Promise<void> {
    await this.events[Symbol.asyncDispose]();
    Deno.kill(this.pid, "SIGKILL");
    await this.#process!.status;
  }

  /** Ends the agent's standard input, as a supervisor that died does; resolves with the exit code. */
  async orphanAgent(): Promise<number> {
    await this.events[Symbol.asyncDispose]();
    await this.#process!.closeStdin();
    return (await this.#process!.status).code;
  }

  /** Everything that the agent logged lately. */
  log(): string {
    return this.#process?.stderrTail() ?? "";
  }

  /** A spec with sensible values; the domain is removed at the end. */
  spec(name: string, values: Partial<MachineSpec> = {}): MachineSpec {
    const id = crypto.randomUUID();
    this.#ids.add(id);
    return {
      id,
      name: `${this.options.prefix}${name}-${id.slice(0, 4)}`,
      role: "simple",
      osType: "linux",
      vcpus: 1,
      memoryMiB: 192,
      mac: null,
      network: "none",
      video: "virtio",
      iso: null,
      ...values,
    };
  }

  /** Makes a machine and returns its domain. @throws when the job does not succeed. */
  async create(
    values: Partial<MachineSpec> & { name: string },
    disk: { kind: "blank"; bytes: number } | { kind: "import"; path: string } | { kind: "none" },
  ): Promise<Domain> {
    const { name, ...rest } = values;
    const machine = this.spec(name, rest);
    requireSuccess(await this.events.runJob(this.agent, { kind: "create-machine", machine, disk }));
    return this.events.domains.get(machine.id)!;
  }

  /** Runs a command where this hypervisor's libvirt is. */
  async run(...argv: string[]): Promise<string> {
    return (await run([...this.options.enter ?? [], ...argv])).stdout;
  }

  virsh = (...args: string[]): Promise<string> => this.run("virsh", "-q", "-c", "qemu:///system", ...args);

  /** The names in a directory of this hypervisor, sorted. */
  async files(directory: string): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.events[Symbol.asyncDispose]();
    this.agent.close();
    await this.#process?.stop();
    const present = new Set((await this.virsh("list", "--all", "--uuid")).split("\n"));
    const up = new Set((await this.virsh("list", "--uuid")).split("\n"));
    for (const id of this.#ids) {
      if (up.has(id)) await this.virsh("destroy", id);
      if (present.has(id)) await this.virsh("undefine", id, "--nvram", "--managed-save").catch(() => "");
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

export function requireSuccess(job: AgentJob): AgentJob {
  if (job.state === "succeeded") return job;
  throw new Error(`The job ${job.kind} ${job.state}: ${job.error?.message} ${JSON.stringify(job.items)}`);
}
