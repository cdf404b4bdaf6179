/** Publishing: a version becomes current, and the clones move to it; also the way back to an older one. */
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import { type Image, PublishMode, type PublishRequest } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageVersionRow, RolloutRow } from "../db/schema.ts";
import { type LocalOperation, partialFailure } from "../jobs/service.ts";
import { noticeLeases } from "../leases/notices.ts";
import { distributeToAll } from "./distribute.ts";
import { getImage } from "./render.ts";
import { requireQuietOn, sealWithin } from "./seal.ts";
import { asWorkOn } from "./turns.ts";
import { nameOf, requireInitial, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({
  versionId: Id,
  mode: PublishMode,
  countdownSeconds: z.number(),
  message: z.string().nullable(),
});
type Input = z.output<typeof Input>;

/** During a countdown users who come meanwhile are told too. */
const noticeEveryMs = 2_000;
/** Rounds of ending sessions and moving, before what is left waits as in a rolling one. */
const mostRounds = 20;

/**
 * Starts to publish a version.
 * @throws {AppError} `conflict` if it is not whole, its initial runs on it, or a job works on the initial.
 */
export async function publishVersion(
  app: App,
  id: string,
  request: z.output<typeof PublishRequest>,
  actor: Actor,
): Promise<Job> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  const name = nameOf(initial, version);
  if (version.state !== "draft" && version.state !== "sealed") {
    throw new AppError("conflict", `${name} cannot be published: it is ${version.state}.`);
  }
  if (version.state === "draft") requireQuietOn(app, initial, version);
  const { mode, countdownSeconds, message = null } = request;
  const input: Input = { versionId: id, mode, countdownSeconds, message };
  const job = await app.jobs.start({
    kind: "publish",
    subject: { id: initial.id, name },
    by: actor,
    input,
    progress: { stage: "publishing" },
    cancellable: true,
  });
  await audit(app, {
    actor,
    action: "image.publish",
    subjectId: initial.id,
    subjectName: name,
    detail: mode === "now" ? `at once, after ${countdownSeconds} s` : mode,
  });
  return job;
}

/** Carries it out; goes on after a restart. A rolling one ends once all that nobody uses has moved. */
export async function runPublication(app: App, operation: LocalOperation): Promise<void> {
  const input = Input.parse(operation.input);
  await asWorkOn(app, input.versionId, operation.job.id, async () => {
    const version = await sealWithin(app, operation, { id: input.versionId });
    await distributeToAll(app, operation, version);
    try {
      await makeCurrent(app, operation, version, input);
      if (input.mode === "now") await moveAtOnce(app, operation, version);
      else await moveIdle(app, operation, version.initial_id);
    } catch (error) {
      if (operation.isCancelled()) await abandon(app, version.initial_id);
      throw error;
    }
  });
  const { items } = operation.job;
  if (items.every(({ ok }) => ok)) return;
  const { code, message } = partialFailure(items);
  throw new AppError(code, `The version is published, but ${message}`);
}

/** Once: after a restart the rollout is there already. */
async function makeCurrent(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
  { mode, message, countdownSeconds }: Input,
): Promise<void> {
  const { published_at } = (await requireVersionAndInitial(app, version.id)).version;
  const { current_version_id } = await requireInitial(app, version.initial_id);
  const published = published_at !== null && published_at > operation.job.createdAt;
  if (published && current_version_id === version.id) return;
  const clones = await store.findClones(app.db, [version.initial_id]);
  const elsewhere = clones.filter((row) => row.version_id !== version.id || row.populated_at === null);
  const now = Math.max(app.now(), operation.job.createdAt + 1);
  const rollout: RolloutRow = {
    initial_id: version.initial_id,
    version_id: version.id,
    mode,
    message,
    total: elsewhere.length,
    started_at: now,
    ends_sessions_at: mode === "now" ? app.now() + countdownSeconds * 1000 : null,
  };
  app.rollouts.begin(version.initial_id);
  await store.makeCurrent(app.db, version, now, elsewhere.length > 0 ? rollout : null);
  tellImage(app, version.initial_id);
  app.bus.publish({ type: "machines", ids: [version.initial_id, ...clones.map(({ id }) => id)] });
}

/** Moves what nobody uses, until only what is in use is left. */
async function moveIdle(app: App, operation: LocalOperation, initialId: string): Promise<void> {
  for (;;) {
    operation.report({ stage: "moving machines that nobody uses" });
    const jobs = await app.rollouts.advance(initialId);
    if (jobs.length === 0) return;
    for (const { id } of jobs) {
      for (const item of (await app.jobs.ended(id, operation.signal)).items) operation.addItem(item);
    }
    // Their failures are noted by whoever follows the jobs, a moment later.
    await wait(0);
  }
}

async function moveAtOnce(app: App, operation: LocalOperation, version: ImageVersionRow): Promise<void> {
  const initialId = version.initial_id;
  await moveIdle(app, operation, initialId);
  await countDown(app, operation, initialId);
  for (let round = 0; round < mostRounds; round++) {
    const row = await store.findRollout(app.db, initialId);
    if (!row) return;
    operation.report({ stage: "ending sessions" });
    const reason = row.message ?? "The desktop gets a new version of its image.";
    for (const { leaseId } of await app.rollouts.pending(row)) {
      if (leaseId !== null) await app.leases.end(leaseId, { reason, by: null });
    }
    await untilFree(app, operation, row);
    await moveIdle(app, operation, initialId);
    const left = await store.findRollout(app.db, initialId);
    if (!left || (await app.rollouts.pending(left)).every(({ leaseId }) => leaseId === null)) return;
  }
}

/** Machines whose session has ended are brought back first, as their desktop pool says. */
async function untilFree(app: App, operation: LocalOperation, row: RolloutRow): Promise<void> {
  const holds = app.jobs.holds();
  const jobIds = new Set(
    (await app.rollouts.pending(row)).flatMap(({ machine }) => holds.get(machine.id) ?? []),
  );
  for (const id of jobIds) await app.jobs.ended(id, operation.signal);
}

/** Tells users what is coming, and waits until it comes. */
async function countDown(app: App, operation: LocalOperation, initialId: string): Promise<void> {
  const told = new Set<string>();
  for (;;) {
    const row = await store.findRollout(app.db, initialId);
    const endsAt = row?.ends_sessions_at ?? null;
    if (!row || endsAt === null) return;
    const leaseIds = (await app.rollouts.pending(row)).flatMap(({ leaseId }) => leaseId ?? []);
    const untold = leaseIds.filter((id) => !told.has(id));
    const leftMs = endsAt - app.now();
    if (leaseIds.length === 0 || leftMs <= 0) return;
    if (untold.length > 0) await noticeLeases(app, untold, { message: messageOf(row), endsAt });
    for (const id of untold) told.add(id);
    // What is given back meanwhile moves at once.
    await app.rollouts.advance(initialId);
    operation.report({ stage: `users are warned; sessions end in ${Math.ceil(leftMs / 1000)} s` });
    await wait(Math.min(leftMs, noticeEveryMs), null, { signal: operation.signal });
  }
}

const messageOf = ({ message }: RolloutRow): string =>
  message ?? "This desktop gets a new version of its image. Save your work: the session ends then.";

/** Whoever has not moved stays, and nobody's session is ended. */
async function abandon(app: App, initialId: string): Promise<void> {
  const row = await store.findRollout(app.db, initialId);
  if (row?.mode === "now") {
    const leaseIds = (await app.rollouts.pending(row)).flatMap(({ leaseId }) => leaseId ?? []);
    await noticeLeases(app, leaseIds, null);
  }
  if (row) await store.removeRollout(app.db, initialId);
  tellImage(app, initialId);
}

/** Leaves the clones that have not moved yet where they are. @throws {AppError} `conflict` when nothing is rolled out */
export async function cancelRollout(app: App, initialId: string, actor: Actor): Promise<Image> {
  const initial = await requireInitial(app, initialId);
  const open = app.jobs.listOpen().find((job) => job.kind === "publish" && job.subjectId === initialId);
  if (!open && !await store.findRollout(app.db, initialId)) {
    throw new AppError("conflict", `Nothing of ${initial.name} is being rolled out.`);
  }
  if (open) {
    await app.jobs.cancel(open.id);
    await app.jobs.ended(open.id);
  }
  await abandon(app, initialId);
  await audit(app, {
    actor,
    action: "image.cancel-rollout",
    subjectId: initialId,
    subjectName: initial.name,
  });
  return await getImage(app, initialId);
}
