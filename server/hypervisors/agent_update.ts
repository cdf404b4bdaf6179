/** Gives agents the dashboard's own executable, one hypervisor after another. Guests never notice. */
import { createReadStream } from "node:fs";
import { z } from "zod";
import { agentContract, type Hello } from "../../contracts/agent.ts";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob, type Job, type JobItem } from "../../contracts/job.ts";
import { waitUnlessAborted } from "../../lib/wait.ts";
import { SshFailure } from "../agents/ssh/failure.ts";
import { AgentUnreachable } from "../agents/unreachable.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import { type JobBehaviour, type LocalOperation, partialFailure } from "../jobs/service.ts";
import { type OwnExecutable, ownExecutable, requireOwnExecutable } from "./own_executable.ts";
import { listHypervisorRows, sshOf } from "./service.ts";

const Input = z.object({ hypervisorIds: z.array(Id) });

/** From the end of its jobs until the new agent answers: a restart takes a second or two. */
const restartTimeoutMs = 60_000;
const lookEveryMs = 250;

export const agentUpdate = (app: App): JobBehaviour => ({
  run: (operation) => runUpdate(app, operation),
  // Those that were updated before a restart are skipped.
  resumable: true,
});

/**
 * Starts the job that updates the agents of these hypervisors, or of all.
 * @throws {AppError} `not_found` if one of them is not known; `conflict` when the dashboard runs from its sources.
 */
export async function startAgentUpdate(
  app: App,
  hypervisorIds: readonly string[] | undefined,
  actor: Actor,
): Promise<Job> {
  requireOwnExecutable();
  const rows = await listHypervisorRows(app);
  const known = new Set(rows.map(({ id }) => id));
  if (hypervisorIds?.some((id) => !known.has(id))) {
    throw new AppError("not_found", "One of these hypervisors is not known.");
  }
  const ids = [...new Set(hypervisorIds ?? known)];
  const names = rows.filter(({ id }) => ids.includes(id)).map(({ name }) => name);
  const name = names.length === 1 ? names[0]! : `${names.length} hypervisors`;
  const job = await app.jobs.start({
    kind: "update-agents",
    subject: { id: ids.length === 1 ? ids[0]! : null, name },
    by: actor,
    input: { hypervisorIds: ids },
    // Their pages show the job.
    machineIds: ids,
    progress: { total: ids.length },
  });
  const tell = () => ids.forEach((id) => app.bus.publish({ type: "hypervisor", id }));
  tell();
  void app.jobs.ended(job.id).then(tell);
  await audit(app, {
    actor,
    action: "hypervisor.update-agents",
    subjectId: ids.length === 1 ? ids[0]! : null,
    subjectName: name,
    detail: names.join(", "),
  });
  return job;
}

async function runUpdate(app: App, op: LocalOperation): Promise<void> {
  const { hypervisorIds } = Input.parse(op.input);
  const executable = await ownExecutable();
  const dealtWith = new Set(op.job.items.map(({ id }) => id));
  const rows = (await listHypervisorRows(app)).filter(({ id }) =>
    hypervisorIds.includes(id) && !dealtWith.has(id)
  );
  for (const row of rows) {
    op.signal.throwIfAborted();
    op.addItem(await updateOne(app, op, row, executable));
    app.bus.publish({ type: "hypervisor", id: row.id });
  }
  if (op.job.items.some(({ ok }) => !ok)) {
    const { code, message } = partialFailure(op.job.items);
    throw new AppError(code, message);
  }
}

async function updateOne(
  app: App,
  op: LocalOperation,
  row: HypervisorRow,
  executable: OwnExecutable,
): Promise<JobItem> {
  const item = { id: row.id, name: row.name };
  try {
    return { ...item, ok: true, message: await update(app, op, row, executable) };
  } catch (error) {
    op.signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return { ...item, ok: false, message: error.message };
  }
}

/** Returns what there is to say about it. */
async function update(
  app: App,
  op: LocalOperation,
  row: HypervisorRow,
  executable: OwnExecutable,
): Promise<string> {
  requireUpdatable(app, row);
  const agent = app.agents.of(row.id);
  const { hello, facts } = app.agents.status(row.id);
  const isCurrent = hello?.commit === executable.commit && hello.version === executable.version;
  if (isCurrent) return `is up to date (${executable.commit})`;
  if (facts?.serviceManager === "dashboard") {
    throw new AppError(
      "conflict",
      "its agent belongs to the dashboard's own service on that host; restart that one",
    );
  }
  op.report({ stage: `${row.name}: copying the executable` });
  const { path, sha256, bytes: length } = executable;
  let lost: unknown;
  try {
    await agent.updateExecutable({ sha256, length, bytes: createReadStream(path) }, op.signal);
  } catch (error) {
    // An agent that restarts at once ends its connection, sometimes before its answer is here: its return tells.
    if (!(error instanceof AgentUnreachable || error instanceof SshFailure)) throw error;
    lost = error;
  }
  await untilBack(app, op, row, hello, executable).catch((error) => {
    throw lost ?? error;
  });
  return `${hello?.commit} → ${executable.commit}`;
}

/** @throws {AppError} `unavailable` with the way that is left when its agent cannot be given anything. */
function requireUpdatable(app: App, row: HypervisorRow): void {
  const { usable, hello, reason } = app.agents.status(row.id);
  if (usable) return;
  if (hello && hello.contract < agentContract) {
    const how = sshOf(row) ? "enrol the hypervisor again" : "install this dashboard's kvm-vdi on its host";
    throw new AppError(
      "unavailable",
      `its agent is too old to update itself (contract ${hello.contract}): ${how}`,
    );
  }
  throw new AppError("unavailable", reason ?? "its agent does not answer");
}

/** @throws {AppError} when the new agent does not come, or another one comes. */
async function untilBack(
  app: App,
  op: LocalOperation,
  { id, name }: HypervisorRow,
  old: Hello | null,
  { commit }: OwnExecutable,
): Promise<void> {
  for (let waitedFrom = Date.now(); Date.now() - waitedFrom < restartTimeoutMs;) {
    const { usable, hello } = app.agents.status(id);
    if (usable && hello && (hello.pid !== old?.pid || hello.startedAt !== old.startedAt)) {
      if (hello.commit === commit) return;
      throw new AppError(
        "conflict",
        `its agent came back as ${hello.commit}, not as ${commit}: something else starts it`,
      );
    }
    const running = usable ? await countRunningJobs(app, id) : 0;
    if (running > 0) waitedFrom = Date.now();
    const what = running > 0
      ? `waiting for ${running} running jobs to end`
      : "waiting for its agent to come back";
    op.report({ stage: `${name}: ${what}` });
    await waitUnlessAborted(lookEveryMs, op.signal);
    op.signal.throwIfAborted();
  }
  throw new AppError(
    "unavailable",
    `its agent has the new executable but did not come back within ${
      restartTimeoutMs / 1000
    } s. Look at its log on the ` +
      "host: journalctl -u kvm-vdi-agent",
  );
}

/** None when the agent goes away meanwhile. */
async function countRunningJobs(app: App, id: string): Promise<number> {
  try {
    return (await app.agents.of(id).jobs()).filter(isOpenJob).length;
  } catch (error) {
    if (error instanceof AppError) return 0;
    throw error;
  }
}
