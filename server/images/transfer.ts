/** A file from one hypervisor to another: straight from agent to agent, or through the dashboard where that fails. */
import { basename } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { ImageResult, ImageTarget, Receiving } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob, type Job } from "../../contracts/job.ts";
import type { App } from "../app.ts";
import { requireHypervisor } from "../hypervisors/service.ts";
import type { LocalOperation } from "../jobs/service.ts";

export interface Transfer {
  fromHypervisorId: string;
  path: string;
  toHypervisorId: string;
  to: ImageTarget;
  /** Length of the file. */
  bytes: number;
  /** What it will take, at most. */
  allocatedBytes: number;
  /** Checked once it is whole; null: not known. */
  sha256: string | null;
  /** For people, as `Copying win-gold version 3 to host2`. */
  stage: string;
}

/** Attempts in a row that bring no byte further, before it is given up. */
const patience = 20;
const retryMs = 500;

/**
 * Brings a file to a place of the other agent's and returns what it is there. It goes on after interruptions and after a
 * restart of the dashboard; cancelling the job cancels it and leaves nothing behind.
 * @throws {AppError} what the receiving agent refused or failed with; `unavailable` when the bytes cannot be brought there.
 */
export async function transferImage(
  app: App,
  operation: LocalOperation,
  transfer: Transfer,
): Promise<ImageResult> {
  const target = await requireHypervisor(app, transfer.toHypervisorId);
  const name = `${basename(transfer.path)} to ${target.name}`;
  const earlier = (await operation.earlierSteps()).filter((step) => step.subjectName === name);
  const received = await receivedBefore(app, transfer, earlier);
  if (received) return received;
  const open = earlier.findLast((step) => step.kind === "receive-image" && isOpenJob(step));
  const receiver = open?.id ?? crypto.randomUUID();
  const done = new AbortController();
  const receiving =
    (open ? pickUp(app, transfer, open, operation) : receive(operation, transfer, receiver, name))
      .finally(() => done.abort());
  const sending = send(app, operation, transfer, {
    receiver,
    name,
    hosts: await hostsOf(app, transfer),
    signal: AbortSignal.any([operation.signal, done.signal]),
    begun: earlier.findLast((step) => step.kind === "send-image" && isOpenJob(step)),
  });
  const [outcome, sent] = await Promise.allSettled([receiving, giveUp(app, receiver, sending)]);
  if (outcome.status === "fulfilled") return outcome.value;
  const gaveUp = sent.status === "rejected" && !done.signal.aborted;
  throw gaveUp ? sent.reason : outcome.reason;
}

/** What an earlier run of the same job has brought there already. */
async function receivedBefore(app: App, transfer: Transfer, earlier: Job[]): Promise<ImageResult | null> {
  const whole = earlier.findLast(({ kind, state }) => kind === "receive-image" && state === "succeeded");
  return whole ? await app.jobs.resultOf(whole.id, transfer.toHypervisorId) : null;
}

async function receive(
  operation: LocalOperation,
  { toHypervisorId, to, bytes, allocatedBytes, sha256, stage }: Transfer,
  id: string,
  name: string,
): Promise<ImageResult> {
  operation.report({ stage, done: 0, total: bytes, unit: "bytes" });
  const step = await operation.step(
    { id, kind: "receive-image", subject: { id: null, name } },
    toHypervisorId,
    { kind: "receive-image", to, bytes, allocatedBytes, sha256, direct: true },
    ({ done, total, unit }) => operation.report({ stage, done, total, unit }),
  );
  return resultOf(step, step.result);
}

async function pickUp(app: App, transfer: Transfer, open: Job, operation: LocalOperation) {
  const ended = await app.jobs.ended(open.id, operation.signal);
  return resultOf(ended, await app.jobs.resultOf(open.id, transfer.toHypervisorId));
}

function resultOf({ state, error, subjectName }: Job, result: ImageResult | null): ImageResult {
  if (state === "succeeded" && result) return result;
  throw new AppError(
    error?.code ?? "interrupted",
    error?.message ?? `Receiving ${subjectName} ended as ${state}. Start it again.`,
  );
}

/** When the bytes cannot be sent, nobody waits for them any more. */
async function giveUp(app: App, receiver: string, sending: Promise<void>): Promise<void> {
  try {
    await sending;
  } catch (error) {
    await app.jobs.cancel(receiver).catch((refusal) => {
      // It has ended by itself meanwhile, or its agent is away and forgets it.
      if (!(refusal instanceof AppError)) throw refusal;
    });
    throw error;
  }
}

interface Sending {
  receiver: string;
  name: string;
  hosts: string[];
  /** Aborted too once the receiver has ended, however. */
  signal: AbortSignal;
  /** A sender that was started before the dashboard was. */
  begun: Job | undefined;
}

/** Sends until the receiver has ended. */
async function send(
  app: App,
  operation: LocalOperation,
  transfer: Transfer,
  sending: Sending,
): Promise<void> {
  const { signal, receiver } = sending;
  let direct = true;
  let lastBytes = -1;
  for (let futile = 0; !signal.aborted;) {
    try {
      const receiving = await untilReceiving(app, transfer, receiver, signal);
      const { receivedBytes } = receiving;
      // The rest is the receiver's: the checksum, and putting it in its place.
      if (receivedBytes >= transfer.bytes) return;
      if (receivedBytes > lastBytes) futile = 0;
      lastBytes = receivedBytes;
      if (direct && receiving.direct) {
        direct = await sendDirectly(app, operation, transfer, receiving.direct, sending);
        if (direct) return;
      } else await relay(app, transfer, receiver, receivedBytes, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof AppError) || !passing.has(error.code) || ++futile > patience) throw error;
      app.log.info({ err: error, job: receiver }, "a transfer was interrupted; it goes on");
      // An aborted wait only means that the receiver has ended.
      await wait(retryMs, null, { signal }).catch(() => null);
    }
  }
}

/** Failures after which the bytes may still come through. */
const passing = new Set<string>(["unavailable", "interrupted", "conflict", "hypervisor_failed"]);

/** The receiver, once its agent has begun to wait for the bytes. */
async function untilReceiving(
  app: App,
  { fromHypervisorId, toHypervisorId }: Transfer,
  receiver: string,
  signal: AbortSignal,
): Promise<Receiving> {
  for (;;) {
    signal.throwIfAborted();
    await app.agents.untilUsable(toHypervisorId, signal);
    await app.agents.untilUsable(fromHypervisorId, signal);
    try {
      return await app.agents.of(toHypervisorId).receiving(receiver, signal);
    } catch (error) {
      // Queued behind other jobs, or ended a moment ago.
      if (!(error instanceof AppError) || error.code !== "not_found") throw error;
      await wait(retryMs / 5, null, { signal });
    }
  }
}

/** Returns false when the other agent cannot be reached from there, so that the dashboard has to relay. */
async function sendDirectly(
  app: App,
  operation: LocalOperation,
  { fromHypervisorId, path }: Transfer,
  direct: NonNullable<Receiving["direct"]>,
  sending: Sending,
): Promise<boolean> {
  const { receiver, name, hosts, begun } = sending;
  sending.begun = undefined;
  const ended = begun ? await app.jobs.ended(begun.id, operation.signal) : await operation.step(
    { kind: "send-image", subject: { id: null, name } },
    fromHypervisorId,
    { kind: "send-image", path, jobId: receiver, hosts, ...direct },
  );
  if (ended.state === "succeeded") return true;
  if (ended.error?.code === "unavailable") return false;
  throw new AppError(
    ended.error?.code ?? "interrupted",
    ended.error?.message ?? `Sending ended as ${ended.state}.`,
  );
}

async function relay(
  app: App,
  { fromHypervisorId, toHypervisorId, path }: Transfer,
  receiver: string,
  from: number,
  signal: AbortSignal,
): Promise<void> {
  const frames = await app.agents.of(fromHypervisorId).imageStream(path, from, signal);
  await app.agents.of(toHypervisorId).sendStream(receiver, from, frames, signal);
}

/** Names and addresses under which the source may reach the target, the likeliest first. */
async function hostsOf(app: App, { fromHypervisorId, toHypervisorId }: Transfer): Promise<string[]> {
  const [from, to] = await Promise.all([
    requireHypervisor(app, fromHypervisorId),
    requireHypervisor(app, toHypervisorId),
  ]);
  const hostname = app.agents.status(toHypervisorId).hello?.hostname;
  const sameHost = from.ssh_address === null && to.ssh_address === null;
  const hosts = [to.ssh_address, sameHost ? "127.0.0.1" : null, hostname, to.display_address];
  return [...new Set(hosts.flatMap((host) => host ? [host] : []))];
}
