/** What the handlers of the in-memory API share. */
import type { Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob, type Job } from "../../contracts/job.ts";
import type { UiServer } from "./ui_server.ts";
import { makeJob, overviewOf } from "./ui_world_parts.ts";

interface Paging {
  limit: number;
  offset?: number | undefined;
  q?: string | undefined;
}

export function page<T>(rows: T[], { limit, offset = 0 }: Paging): Page<T> {
  const items = rows.slice(offset, offset + limit);
  return {
    items,
    total: rows.length,
    nextCursor: offset + limit < rows.length ? String(offset + limit) : null,
  };
}

export function requireById<T extends { id: string }>(rows: T[], id: string, what: string): T {
  const row = rows.find((one) => one.id === id);
  if (!row) throw new AppError("not_found", `There is no such ${what}.`);
  return row;
}

export const contains = (q: string | undefined, ...texts: (string | null | undefined)[]) =>
  !q || texts.some((text) => text?.toLowerCase().includes(q.toLowerCase()));

/** Runs a made-up job: half way after one tick, done after two. */
export function runJob(server: UiServer, patch: Partial<Job>, finish: () => void): Job {
  const job = makeJob(0, {
    id: crypto.randomUUID(),
    state: "running",
    done: 0,
    stage: "Working",
    cancellable: true,
    createdAt: Date.now(),
    startedAt: Date.now(),
    endedAt: null,
    ...patch,
  });
  server.world.jobs.unshift(job);
  server.after(150, () => {
    if (!isOpenJob(job)) return;
    job.done = Math.round(job.total / 2);
    server.publish({ type: "job", job });
  });
  server.after(600, () => {
    if (!isOpenJob(job)) return;
    Object.assign(job, { state: "succeeded", done: job.total, endedAt: Date.now(), stage: "Done" });
    finish();
    server.publish({ type: "job", job });
    server.publish({ type: "overview", overview: overviewOf(server.world) });
  });
  server.publish({ type: "job", job });
  return structuredClone(job);
}
