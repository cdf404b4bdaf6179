import assert from "node:assert/strict";
import { join } from "node:path";
import type { AgentJob, ImageResult } from "../contracts/agent.ts";
import { AppError } from "../contracts/errors.ts";
import { createLogger } from "../lib/log.ts";
import type { Host, JobOperations, Operation, OperationInput } from "./host.ts";
import { JobFiles } from "./job_files.ts";
import { Jobs } from "./jobs.ts";

const log = createLogger({ mode: "test", level: "silent" });
const operation: OperationInput = {
  kind: "populate",
  initialId: crypto.randomUUID(),
  basePath: null,
  machineIds: [crypto.randomUUID()],
};
const newId = () => crypto.randomUUID();

/** Jobs whose operation is `run`, in a directory that outlives them. */
async function withJobs(
  { run, recover = () => Promise.resolve() }: {
    run: (op: Operation) => Promise<ImageResult | void>;
    recover?: () => Promise<void>;
  },
  body: (
    jobs: Jobs,
    told: AgentJob[],
    reload: () => Promise<Jobs>,
    entered: Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const told: AgentJob[] = [];
  const entered = Promise.withResolvers<void>();
  const populate = {
    run: (_host: Host, _input: unknown, op: Operation) => {
      entered.resolve();
      return run(op);
    },
    recover,
  };
  const operations = { populate } as unknown as JobOperations;
  const host = { log } as unknown as Host;
  const load = () =>
    Jobs.load({
      host,
      operations,
      files: new JobFiles(join(directory, "jobs"), log),
      onChange: (job) => told.push(job),
    });
  try {
    const jobs = await load();
    await body(jobs, told, load, entered.promise);
    await jobs.stop();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const untilAborted = (op: Operation) =>
  new Promise<void>((_, reject) => op.signal.addEventListener("abort", () => reject(op.signal.reason)));

async function untilState(jobs: Jobs, id: string, state: AgentJob["state"]): Promise<AgentJob> {
  for (const giveUpAt = Date.now() + 5_000; jobs.get(id).state !== state;) {
    assert.ok(Date.now() < giveUpAt, `the job is ${jobs.get(id).state}, not ${state}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return jobs.get(id);
}

Deno.test("start() runs a job to its end and tells every state in order", async () => {
  await withJobs({ run: () => Promise.resolve() }, async (jobs, told) => {
    const id = newId();
    await jobs.start({ id, operation });
    const job = await untilState(jobs, id, "succeeded");
    assert.deepEqual(told.map(({ state }) => state), ["queued", "running", "succeeded"]);
    assert.ok(job.startedAt && job.endedAt && !job.cancellable);
  });
});

Deno.test("start() with a known id answers the known job, also after a restart", async () => {
  let runs = 0;
  await withJobs({ run: () => Promise.resolve(void runs++) }, async (jobs, _told, reload) => {
    const id = newId();
    await jobs.start({ id, operation });
    await untilState(jobs, id, "succeeded");
    await jobs.start({ id, operation });
    await jobs.stop();
    assert.equal((await (await reload()).start({ id, operation })).state, "succeeded");
    assert.equal(runs, 1);
  });
});

Deno.test("cancel() aborts the operation, and the job is cancelled", async () => {
  await withJobs({ run: untilAborted }, async (jobs) => {
    const id = newId();
    await jobs.start({ id, operation });
    await jobs.cancel(id);
    assert.equal((await untilState(jobs, id, "cancelled")).error?.code, "cancelled");
  });
});

Deno.test("a job whose operation throws fails without telling the text of an unknown error", async () => {
  const run = () => Promise.reject(new Error("secret internals"));
  await withJobs({ run }, async (jobs) => {
    const id = newId();
    await jobs.start({ id, operation });
    const { error } = await untilState(jobs, id, "failed");
    assert.equal(error?.code, "internal");
    assert.doesNotMatch(error?.message ?? "", /secret/);
  });
});

Deno.test("progress is told at most four times a second, and the last of it with the end", async () => {
  const run = async (op: Operation) => {
    for (let done = 1; done <= 1000; done++) op.report({ done, total: 1000, stage: "Copying" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    op.report({ done: 1001 });
  };
  await withJobs({ run }, async (jobs, told) => {
    const id = newId();
    await jobs.start({ id, operation });
    await untilState(jobs, id, "succeeded");
    assert.deepEqual(told.map(({ state, done }) => [state, done]), [
      ["queued", 0],
      ["running", 0],
      ["running", 1000],
      ["succeeded", 1001],
    ]);
  });
});

Deno.test("load() finds the jobs of a killed agent interrupted, and recover() cleans up after each once", async () => {
  let recoveries = 0;
  const never = Promise.withResolvers<void>();
  const recover = () => Promise.resolve(void recoveries++);
  await withJobs({ run: () => never.promise, recover }, async (jobs, _told, reload, entered) => {
    const id = newId();
    await jobs.start({ id, operation });
    await entered;
    const second = await reload();
    assert.equal(second.get(id).state, "interrupted");
    await second.recover();
    await second.recover();
    assert.equal(recoveries, 1);
    await (await reload()).recover();
    assert.equal(recoveries, 1);
    never.resolve();
    await untilState(jobs, id, "succeeded");
  });
});

Deno.test("recover() tries again what failed, also after another restart", async () => {
  let attempts = 0;
  const never = Promise.withResolvers<void>();
  const recover = () => attempts++ === 0 ? Promise.reject(new Error("libvirt is away")) : Promise.resolve();
  await withJobs({ run: () => never.promise, recover }, async (jobs, _told, reload, entered) => {
    const id = newId();
    await jobs.start({ id, operation });
    await entered;
    await (await reload()).recover();
    await (await reload()).recover();
    assert.equal(attempts, 2);
    never.resolve();
    await untilState(jobs, id, "succeeded");
  });
});

Deno.test("stop() interrupts running jobs and waits until they have undone their work", async () => {
  let undone = false;
  const run = async (op: Operation) => {
    try {
      await untilAborted(op);
    } finally {
      await new Promise((resolve) => setTimeout(resolve, 20));
      undone = true;
    }
  };
  await withJobs({ run }, async (jobs, _told, _reload, entered) => {
    const id = newId();
    await jobs.start({ id, operation });
    await entered;
    await jobs.stop();
    assert.ok(undone);
    assert.equal(jobs.get(id).state, "interrupted");
    await assert.rejects(jobs.start({ id: newId(), operation }), { code: "unavailable" });
  });
});

Deno.test("the newest 200 jobs are kept", async () => {
  await withJobs({ run: () => Promise.resolve() }, async (jobs, _told, reload) => {
    const ids = Array.from({ length: 205 }, newId);
    for (const id of ids) {
      await jobs.start({ id, operation });
      await untilState(jobs, id, "succeeded");
    }
    await jobs.stop();
    const kept = (await reload()).list();
    assert.equal(kept.length, 200);
    assert.ok(kept.some(({ id }) => id === ids.at(-1)));
  });
});

Deno.test("drain() takes no new jobs and waits for those that are open", async () => {
  const finish = Promise.withResolvers<void>();
  await withJobs({ run: () => finish.promise }, async (jobs, _told, _reload, entered) => {
    const id = newId();
    await jobs.start({ id, operation });
    await entered;
    let drained = false;
    const drain = jobs.drain(new AppError("unavailable", "being updated")).then(() => drained = true);
    await assert.rejects(jobs.start({ id: newId(), operation }), { message: "being updated" });
    assert.equal((await jobs.start({ id, operation })).id, id, "a known one is still told of");
    assert.equal(drained, false);
    finish.resolve();
    await drain;
    assert.equal(jobs.get(id).state, "succeeded");
  });
});

Deno.test("drain() resolves at once when nothing runs", async () => {
  await withJobs({ run: () => Promise.resolve() }, async (jobs) => {
    await jobs.drain(new AppError("unavailable", "being updated"));
  });
});
