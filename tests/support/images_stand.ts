/** A dashboard with two fake hypervisors, an initial on the first, and clones on both. */
import assert from "node:assert/strict";
import type { BodyOf } from "../../contracts/api.ts";
import type { Image, ImageVersion } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import { startTestDashboard, type TestDashboard, type TestDashboardOptions } from "./dashboard.ts";
import { FakeAgent, type FakeAgentOptions } from "./fake_agent.ts";
import { quickBoot } from "./lab.ts";
import { DashboardStand, deadline, sourceBody } from "./machines_stand.ts";

export interface ImagesStandOptions extends Partial<TestDashboardOptions> {
  /** Clones on the first and on the second hypervisor. */
  clones?: [number, number];
  /** The second hypervisor sees the files of the first one. */
  shared?: boolean;
  agent?: FakeAgentOptions;
}

export class ImagesStand extends DashboardStand {
  source!: Machine;
  initial!: Machine;
  vdis: Machine[] = [];

  private constructor(dashboard: TestDashboard, readonly agents: [FakeAgent, FakeAgent]) {
    super(dashboard);
  }

  static async start(options: ImagesStandOptions = {}): Promise<ImagesStand> {
    const { clones = [1, 1], shared = false, agent = {} } = options;
    const first = new FakeAgent(agent);
    const second = new FakeAgent({ ...agent, sharesFilesWith: shared ? first : null });
    const dashboard = await startTestDashboard({
      bootTimes: quickBoot,
      agentTimes: { heartbeatTimeoutMs: 15_000, retryDelaysMs: [5, 10, 20] },
      ...options,
      agents: { host: first, other: second },
    });
    const stand = new ImagesStand(dashboard, [first, second]);
    await stand.online();
    [stand.source] = await stand.create({ ...sourceBody(), hypervisorId: stand.hypervisorId }) as [Machine];
    [stand.initial] = await stand.create({
      name: "win-gold",
      role: "initial",
      sourceId: stand.source.id,
      copyDisk: true,
    }) as [Machine];
    for (const [index, count] of clones.entries()) {
      if (count > 0) stand.vdis.push(...await stand.addClones(index, count));
    }
    return stand;
  }

  /** Populated clones of the initial. */
  addClones(host: number, count: number): Promise<Machine[]> {
    return this.create({
      name: `lab${host + 1}-{n}`,
      role: "vdi",
      sourceId: this.initial.id,
      hypervisorId: this.hypervisorIds[host]!,
      count,
      populate: true,
    });
  }

  get hypervisorIds(): string[] {
    return ["host", "other"].map((name) => this.dashboard.hypervisorIds[name]!);
  }

  override async online(): Promise<void> {
    for (const id of this.hypervisorIds) await this.dashboard.app.agents.untilUsable(id, deadline());
  }

  async image(): Promise<Image> {
    return (await this.api.call("getImage", { id: this.initial.id })).image;
  }

  async version(number: number): Promise<ImageVersion> {
    const version = (await this.image()).versions.find((one) => one.number === number);
    assert.ok(version, `there is a version ${number}`);
    return version;
  }

  async succeeded(job: Pick<Job, "id">): Promise<Job> {
    const ended = await this.ended(job);
    assert.equal(ended.state, "succeeded", ended.error?.message ?? "");
    return ended;
  }

  async copy(body?: BodyOf<"copyDisk">): Promise<ImageVersion> {
    await this.succeeded((await this.api.call("copyDisk", { id: this.initial.id, body })).job);
    return (await this.image()).versions[0]!;
  }

  async seal(number: number): Promise<ImageVersion> {
    const { id } = await this.version(number);
    await this.succeeded((await this.api.call("sealVersion", { id })).job);
    return await this.version(number);
  }

  /** Starts to publish. */
  async publish(number: number, body?: BodyOf<"publishVersion">): Promise<Job> {
    const { id } = await this.version(number);
    return (await this.api.call("publishVersion", { id, body })).job;
  }

  /** Numbers of the versions that the clones are on, in their order. */
  async numbers(): Promise<(number | undefined)[]> {
    const machines = await Promise.all(this.vdis.map(({ id }) => this.machine(id)));
    return machines.map(({ imageVersion }) => imageVersion?.number);
  }

  untilNumbers(...numbers: number[]): Promise<unknown> {
    return this.when(
      `clones on versions ${numbers}`,
      async () => JSON.stringify(await this.numbers()) === JSON.stringify(numbers),
    );
  }

  /** The file below a clone's overlay, as its hypervisor has it. */
  baseOf(machine: Machine): string | null {
    const agent = this.agents.find(({ domains }) => domains.has(machine.id));
    return agent?.domains.get(machine.id)?.disks[0]?.backingPath ?? null;
  }

  power(id: string, action: BodyOf<"powerMachine">["action"]) {
    return this.api.call("powerMachine", { id, body: { action } });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    for (const agent of this.agents) await agent[Symbol.asyncDispose]();
    await Deno.remove(this.dashboard.dataDir, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
