/** What is done to one version at a time, and which job does it. In memory: a restart begins anew. */
import type { App } from "../app.ts";

const tails = new WeakMap<object, Map<string, Promise<unknown>>>();
const workers = new WeakMap<object, Map<string, string>>();

/** Does the work once all earlier work under the same key has ended, however it ended. */
export async function inTurn<T>(app: Pick<App, "db">, key: string, work: () => Promise<T>): Promise<T> {
  const turns = tails.get(app.db) ?? new Map<string, Promise<unknown>>();
  tails.set(app.db, turns);
  const before = turns.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  const tail = mine.catch(() => null);
  turns.set(key, tail);
  try {
    return await mine;
  } finally {
    if (turns.get(key) === tail) turns.delete(key);
  }
}

/** Notes that a job works on a version until the work has ended. */
export async function asWorkOn<T>(
  app: Pick<App, "db">,
  versionId: string,
  jobId: string,
  work: () => Promise<T>,
): Promise<T> {
  const jobs = workers.get(app.db) ?? new Map<string, string>();
  workers.set(app.db, jobs);
  const before = jobs.get(versionId);
  jobs.set(versionId, jobId);
  try {
    return await work();
  } finally {
    if (before === undefined) jobs.delete(versionId);
    else jobs.set(versionId, before);
  }
}

/** The job that works on a version now. */
export const jobOn = (app: Pick<App, "db">, versionId: string): string | null =>
  workers.get(app.db)?.get(versionId) ?? null;
