/** Dashboards for tests of machines. */
import assert from "node:assert/strict";
import type { BodyOf } from "../../contracts/api.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import { CallError, startTestDashboard, type TestDashboard } from "./dashboard.ts";
import { FakeAgent, type FakeAgentOptions } from "./fake_agent.ts";

export const gib = 2 ** 30;
const defaultTimeoutMs = 20_000;
export const deadline = () => AbortSignal.timeout(defaultTimeoutMs);

/** A dashboard whose hypervisor `host` is online, with what tests of machines do all the time. */
export class DashboardStand implements AsyncDisposable {
  constructor(public dashboard: TestDashboard) {}

  get api() {
    return this.dashboard.admin;
  }
  get hypervisorId(): string {
    return this.dashboard.hypervisorIds["host"]!;
  }

  online(): Promise<void> {
    return this.dashboard.app.agents.untilUsable(this.hypervisorId, deadline());
  }

  async restart(): Promise<void> {
    this.dashboard = await this.dashboard.restart();
    await this.online();
  }

  /** Waits for a job's end and returns it as it ended. */
  ended({ id }: Pick<Job, "id">): Promise<Job> {
    return this.dashboard.app.jobs.ended(id, deadline());
  }

  /** Creates machines and waits until they are there. */
  async create(body: BodyOf<"createMachines">): Promise<Machine[]> {
    const { job, machines } = await this.api.call("createMachines", { body });
    const { state, error } = await this.ended(job);
    assert.equal(state, "succeeded", error?.message ?? "");
    return await Promise.all(machines.map(({ id }) => this.machine(id)));
  }

  async machine(id: string): Promise<Machine> {
    return (await this.api.call("getMachine", { id })).machine;
  }

  /** Waits until the API shows the machine so. */
  until(
    id: string,
    what: string,
    check: (machine: Machine) => boolean,
    timeoutMs = defaultTimeoutMs,
  ): Promise<Machine> {
    return this.when(`the machine ${what}`, async () => {
      const machine = await this.machine(id);
      return check(machine) && machine;
    }, timeoutMs);
  }

  /** Looks again after every change that the dashboard tells of, until there is something to see. */
  async when<T>(what: string, look: () => Promise<T | false>, timeoutMs = defaultTimeoutMs): Promise<T> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const unsubscribe = this.dashboard.app.bus.subscribe(() => resolve());
      signal.addEventListener("abort", () => resolve(), { once: true });
      const seen = await look();
      if (seen !== false) return unsubscribe(), seen;
      assert.ok(!signal.aborted, `never seen: ${what}`);
      await promise;
      unsubscribe();
    }
  }

  /** A source with a disk, an initial with its copy, and populated vdi machines. */
  async tree(count = 3) {
    const [source] = await this.create(sourceBody());
    const [initial] = await this.create({
      name: "win-gold",
      role: "initial",
      sourceId: source!.id,
      copyDisk: true,
    });
    const vdis = await this.create({
      name: "lab-{n}",
      role: "vdi",
      sourceId: initial!.id,
      count,
      populate: true,
    });
    return { source: source!, initial: initial!, vdis };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dashboard[Symbol.asyncDispose]();
  }
}

/** With a fake hypervisor. */
export class MachinesStand extends DashboardStand {
  private constructor(dashboard: TestDashboard, readonly agent: FakeAgent) {
    super(dashboard);
  }

  static async start(options: FakeAgentOptions = {}): Promise<MachinesStand> {
    const agent = new FakeAgent(options);
    const dashboard = await startTestDashboard({
      agents: { host: agent },
      agentTimes: { heartbeatTimeoutMs: 15_000, retryDelaysMs: [5, 10, 20] },
    });
    const stand = new MachinesStand(dashboard, agent);
    await stand.online();
    return stand;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.agent[Symbol.asyncDispose]();
  }
}

export const sourceBody = (name = "win-src"): BodyOf<"createMachines"> => ({
  name,
  role: "source",
  disk: { kind: "blank", bytes: 20 * gib },
  memoryMiB: 4096,
});

/** For assert.rejects: an API error with this code, words and, if given, wrong field. */
export const refused = (code: string, text: RegExp, field?: string) => (error: unknown) => {
  assert.ok(error instanceof CallError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, text);
  if (field !== undefined) assert.deepEqual(error.details?.map(({ path }) => path), [field]);
  return true;
};
