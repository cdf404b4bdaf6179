/** How busy each hypervisor was: a sample a minute for a day, then the means of quarters of an hour for a month. */
import type { z } from "zod";
import type { LoadPoint, LoadQuery } from "../../contracts/hypervisor.ts";
import type { App } from "../app.ts";
import * as store from "./load_store.ts";
import { requireHypervisor } from "./service.ts";

export type Point = z.output<typeof LoadPoint>;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const fineMs = 24 * hourMs;
const coarseMinutes = 15;
const keptMs = 31 * 24 * hourMs;
/** A chart has no more pixels than that. */
const pointLimit = 500;

/** Takes samples from now on; returns the function that ends it. */
export function recordLoad(app: App): () => Promise<void> {
  let working = Promise.resolve();
  let thinnedAt = 0;
  const round = async () => {
    await sampleLoad(app);
    if (app.now() - thinnedAt < coarseMinutes * minuteMs) return;
    thinnedAt = app.now();
    await thinLoad(app);
  };
  const timer = setInterval(() => {
    working = working.then(round).catch((error) =>
      app.log.error({ err: error }, "load could not be recorded")
    );
  }, minuteMs);
  return async () => {
    clearInterval(timer);
    await working;
  };
}

/** One sample of every hypervisor that is there. */
export async function sampleLoad(app: Pick<App, "db" | "agents" | "room" | "now">): Promise<void> {
  const at = app.now();
  const running = app.room.running();
  for (const id of await store.findIds(app.db)) {
    const { usable, load } = app.agents.status(id);
    if (!usable || !load) continue;
    await store.insertSample(app.db, {
      hypervisor_id: id,
      at,
      minutes: 1,
      cpu_percent: load.cpuPercent,
      memory_used_mib: load.memoryUsedMiB,
      running: running.get(id)?.running ?? 0,
      free_bytes: load.storage.find(({ kind }) => kind === "images")?.freeBytes ?? 0,
    });
  }
}

/** Turns what is older than a day into means of quarters of an hour, and drops what is older than a month. */
export async function thinLoad(app: Pick<App, "db" | "now">): Promise<void> {
  const now = app.now();
  await store.dropBefore(app.db, now - keptMs);
  const quarterMs = coarseMinutes * minuteMs;
  // Whole quarters only, so that each is averaged once.
  await store.averageBefore(app.db, Math.floor((now - fineMs) / quarterMs) * quarterMs, coarseMinutes);
}

/** The last hours, oldest first. @throws {AppError} `not_found` */
export async function readLoad(
  app: App,
  hypervisorId: string,
  { hours }: z.output<typeof LoadQuery>,
): Promise<Point[]> {
  await requireHypervisor(app, hypervisorId);
  const from = app.now() - hours * hourMs;
  const stepMs = Math.max(minuteMs, Math.ceil(hours * 60 / pointLimit) * minuteMs);
  return await store.readPoints(app.db, hypervisorId, from, stepMs);
}
