import assert from "node:assert/strict";
import type { AgentOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job } from "../../contracts/job.ts";
import { createLogger } from "../../lib/log.ts";
import { migrations } from "../../migrations/index.ts";
import { FakeAgent } from "../../tests/support/fake_agent.ts";
import { directLink } from "../agents/agent_link.ts";
import { AgentConnections } from "../agents/connections.ts";
import { AgentUnreachable } from "../agents/unreachable.ts";
import { Bus, type Change } from "../bus.ts";
import { migrate } from "../db/migrate.ts";
import { openDatabase } from "../db/open.ts";
import { type EndedJob, Jobs, type LocalOperation } from "./service.ts";

const host = "00000000-0000-4000-8000-000000000001";
const machineId = "00000000-0000-4000-8000-00000000000a";
const subject = { id: machineId, name: "lab-1" };
const by = { username: "admin" };
const deletion = { kind: "delete-machine", machineId, keepDisks: false } as const;

/** Jobs over an in-memory database and a fake agent; `settled` notes each end. */
class Stand implements AsyncDisposable {
  readonly agent = new FakeAgent();
  readonly settled: EndedJob[] = [];
  readonly changes: Change[] = [];
  readonly #database = openDatabase(":memory:");
  readonly log = createLogger({ mode: "test", level: "silent" });
  readonly agents = new AgentConnections({
    connect: () => Promise.resolve(directLink(this.agent)),
    log: this.log,
    now: Date.now,
    times: { retryDelaysMs: [1] },
  });
  jobs = this.#makeJobs();

  static async start(): Promise<Stand> {
    const stand = new Stand();
    await migrate(stand.#database.sqlite, migrations, () => "/unused");
    stand.agents.start([{ id: host, name: "host", socketPath: "/fake", ssh: null }]);
    await stand.agents.untilUsable(host, AbortSignal.timeout(5000));
    return stand;
  }

  #makeJobs(): Jobs {
    const bus = new Bus((error) => this.log.error(error));
    bus.subscribe((change) => this.changes.push(change));
    const jobs = new Jobs({ db: this.#database.db, bus, agents: this.agents, log: this.log, now: Date.now });
    const settle = (ended: EndedJob) => Promise.resolve(void this.settled.push(ended));
    jobs.define("delete-machine", { settle });
    jobs.define("populate", { settle });
    return jobs;
  }

  /** As a restarted dashboard finds things. */
  async restart(define: (jobs: Jobs) => void = () => {}): Promise<void> {
    await this.jobs.stop();
    this.jobs = this.#makeJobs();
    define(this.jobs);
    await this.jobs.recover();
  }

  delete(): Promise<Job> {
    return this.jobs.delegate(
      { kind: "delete-machine", subject, by, input: { why: "test" } },
      host,
      deletion,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jobs.stop();
    await this.agents.stop();
    await this.agent[Symbol.asyncDispose]();
    await this.#database.close();
  }
}

Deno.test("delegate() runs under one id on both sides and settles once", async () => {
  await using stand = await Stand.start();
  const job = await stand.delete();
  const ended = await stand.jobs.ended(job.id);
  assert.equal(ended.state, "succeeded");
  assert.deepEqual((await stand.agent.jobs()).map(({ id }) => id), [job.id]);
  stand.agent.emit({ type: "job", job: (await stand.agent.jobs())[0]! });
  await stand.agent.hello();
  assert.equal(stand.settled.length, 1);
  assert.equal((stand.settled[0]?.input as { why: string }).why, "test");
});

Deno.test("delegate() refuses before there is a row when the hypervisor is offline", async () => {
  await using stand = await Stand.start();
  stand.agent.goOffline();
  await assert.rejects(stand.agents.of(host).hello(), { code: "unavailable" });
  await assert.rejects(stand.delete(), { code: "unavailable" });
  const { items } = await stand.jobs.list({ limit: 10 });
  assert.deepEqual(items.filter(({ state }) => state === "queued" || state === "running"), []);
});

Deno.test("delegate() finds out what became of a job whose request got no answer", async () => {
  await using stand = await Stand.start();
  stand.agent.failNext("startJob", new AgentUnreachable("the answer got lost"));
  const lost = await stand.delete();
  assert.equal(lost.state, "interrupted", "the agent never got it");
  assert.equal(stand.settled[0]?.state, "interrupted");

  stand.agent.hold("delete-machine");
  const startJob = stand.agent.startJob.bind(stand.agent);
  stand.agent.startJob = async (request) => {
    await startJob(request);
    throw new AgentUnreachable("the answer got lost");
  };
  const kept = await stand.delete();
  assert.equal(kept.state, "running", "the agent has it");
  stand.agent.release("delete-machine");
  assert.equal((await stand.jobs.ended(kept.id)).state, "succeeded");
});

Deno.test("a job whose end cannot be recorded has failed, whatever the agent says", async () => {
  await using stand = await Stand.start();
  stand.jobs.define("delete-machine", { settle: () => Promise.reject(new Error("disk full")) });
  const ended = await stand.jobs.ended((await stand.delete()).id);
  assert.deepEqual([ended.state, ended.error?.code], ["failed", "internal"]);
  assert.doesNotMatch(ended.error?.message ?? "", /disk full/);
});

Deno.test("recover() resumes what can go on, interrupts what cannot, and waits for agents", async () => {
  await using stand = await Stand.start();
  const forever = ({ signal }: LocalOperation) =>
    new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  stand.jobs.define("bulk", { run: forever });
  stand.jobs.define("reset-desktop", { run: forever, resumable: true });
  stand.agent.hold("delete-machine");
  const bulk = await stand.jobs.start({ kind: "bulk", subject: { id: null, name: "2 machines" }, by });
  const reset = await stand.jobs.start({ kind: "reset-desktop", subject: { id: host, name: "x" }, by: null });
  const deletion = await stand.delete();
  await stand.restart((jobs) =>
    jobs.define("reset-desktop", {
      run: ({ report }) => Promise.resolve(report({ stage: "resumed" })),
      resumable: true,
    })
  );
  assert.equal((await stand.jobs.get(bulk.id)).state, "interrupted");
  assert.partialDeepStrictEqual(await stand.jobs.ended(reset.id), { state: "succeeded", stage: "resumed" });
  assert.equal((await stand.jobs.get(deletion.id)).state, "running");
  stand.agent.release("delete-machine");
  assert.equal((await stand.jobs.ended(deletion.id)).state, "succeeded");
});

Deno.test("a step is part of its job: never listed or told by itself, cancelled with it", async () => {
  await using stand = await Stand.start();
  stand.agent.hold("populate");
  const begun = Promise.withResolvers<void>();
  stand.agent.startJob = ((start) => async (request) => {
    const job = await start(request);
    begun.resolve();
    return job;
  })(stand.agent.startJob.bind(stand.agent));
  stand.jobs.define("bulk", {
    run: async ({ step }) => {
      const operation: AgentOperation = { kind: "populate", initialId: host, machineIds: [machineId] };
      const job = await step(
        { kind: "populate", subject: { id: null, name: "x" }, machineIds: [machineId] },
        host,
        operation,
      );
      throw new AppError("conflict", `the step ended as ${job.state}`);
    },
  });
  const job = await stand.jobs.start({
    kind: "bulk",
    subject: { id: null, name: "1 machine" },
    by,
    cancellable: true,
  });
  await begun.promise;
  assert.deepEqual((await stand.jobs.list({ limit: 10 })).items.map(({ kind }) => kind), ["bulk"]);
  assert.equal(stand.jobs.holds().get(machineId), job.id, "the larger job is named as the holder");
  await stand.jobs.cancel(job.id);
  assert.equal((await stand.jobs.ended(job.id)).state, "cancelled");
  assert.deepEqual((await stand.agent.jobs()).map(({ state }) => state), ["cancelled"]);
  assert.equal(stand.jobs.holds().size, 0);
  const told = stand.changes.flatMap((change) => change.type === "job" ? [change.job.kind] : []);
  assert.deepEqual([...new Set(told)], ["bulk"]);
});

Deno.test("a second job of a subject is refused and told what holds it", async () => {
  await using stand = await Stand.start();
  stand.agent.hold("delete-machine");
  await stand.delete();
  await assert.rejects(stand.delete(), {
    code: "conflict",
    message: /lab-1 is busy with delete-machine .*by admin/,
  });
  await assert.rejects(stand.jobs.cancel((await stand.jobs.listOpen())[0]!.id), {
    code: "conflict",
    message: /cannot be cancelled/,
  });
});
