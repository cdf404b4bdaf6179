import { sql } from "kysely";
import type { z } from "zod";
import type { Page } from "../../contracts/common.ts";
import { ErrorInfo } from "../../contracts/errors.ts";
import { type Job, JobItem, type JobQuery, type JobState, type Progress } from "../../contracts/job.ts";
import { escapeLike, isUniqueViolation } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import type { Db, JobRow } from "../db/schema.ts";

/** A job with what the dashboard alone knows about it. */
export interface StoredJob {
  job: Job;
  hypervisorId: string | null;
  parentId: string | null;
  input: unknown;
}

/** Writes a new job; false when its subject has an open one. */
export async function insertJob(db: Db, { job, hypervisorId, parentId, input }: StoredJob): Promise<boolean> {
  try {
    await db.insertInto("jobs").values({
      id: job.id,
      kind: job.kind,
      state: job.state,
      subject_id: job.subjectId,
      subject_name: job.subjectName,
      hypervisor_id: hypervisorId,
      parent_id: parentId,
      input: JSON.stringify(input),
      ...progressColumns(job),
      error: null,
      items: JSON.stringify(job.items),
      cancellable: job.cancellable ? 1 : 0,
      requested_by: job.requestedBy,
      created_at: job.createdAt,
      started_at: job.startedAt,
      ended_at: null,
    }).execute();
    return true;
  } catch (error) {
    if (isUniqueViolation(error, "jobs.subject_id")) return false;
    throw error;
  }
}

const progressColumns = ({ stage, done, total, unit }: Progress) => ({ stage, done, total, unit });

/** Writes everything about a job that changes. */
export async function updateJob(db: Db, job: Job): Promise<void> {
  await db.updateTable("jobs").set({
    state: job.state,
    ...progressColumns(job),
    error: job.error === null ? null : JSON.stringify(job.error),
    items: JSON.stringify(job.items),
    cancellable: job.cancellable ? 1 : 0,
    started_at: job.startedAt,
    ended_at: job.endedAt,
  }).where("id", "=", job.id).execute();
}

export async function findJob(db: Db, id: string): Promise<StoredJob | null> {
  const row = await db.selectFrom("jobs").selectAll().where("id", "=", id).executeTakeFirst();
  return row ? storedJobOf(row) : null;
}

/** Every queued or running job. */
export async function findOpenJobs(db: Db): Promise<StoredJob[]> {
  const rows = await db.selectFrom("jobs").selectAll().where("state", "in", openStates).execute();
  return rows.map(storedJobOf);
}

/** The steps of a larger job, open or not. */
export async function findSteps(db: Db, parentId: string): Promise<StoredJob[]> {
  const rows = await db.selectFrom("jobs").selectAll().where("parent_id", "=", parentId).execute();
  return rows.map(storedJobOf);
}

const openStates: JobState[] = ["queued", "running"];

/** Newest first. Steps of larger jobs are left out, except in the history of their own subject. */
export async function listJobs(db: Db, query: z.output<typeof JobQuery>): Promise<Page<Job>> {
  const { state, kind, subjectId, open, q } = query;
  const pattern = q ? `%${escapeLike(q)}%` : undefined;
  const matching = db.selectFrom("jobs")
    .$if(subjectId === undefined, (jobs) => jobs.where("parent_id", "is", null))
    .$if(subjectId !== undefined, (jobs) => jobs.where("subject_id", "=", subjectId!))
    .$if(state !== undefined, (jobs) => jobs.where("state", "=", state!))
    .$if(kind !== undefined, (jobs) => jobs.where("kind", "=", kind!))
    .$if(open !== undefined, (jobs) => jobs.where("state", open ? "in" : "not in", openStates))
    .$if(pattern !== undefined, (jobs) =>
      jobs.where((where) =>
        where.or(
          (["subject_name", "kind", "requested_by"] as const).map((column) =>
            sql<boolean>`${sql.ref(column)} LIKE ${pattern} ESCAPE '\\'`
          ),
        )
      ));
  const { total } = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const after = parseCursor(query.cursor);
  const rows = await matching.selectAll().orderBy("created_at", "desc").orderBy("id", "desc")
    .$if(after !== null, (jobs) => jobs.where(sql<boolean>`(created_at, id) < (${after![0]}, ${after![1]})`))
    .limit(query.limit + 1)
    .$if(query.offset !== undefined && after === null, (jobs) => jobs.offset(query.offset!))
    .execute();
  const items = rows.map((row) => storedJobOf(row).job);
  return cursorPage(items, query.limit, total, (last) => `${last.createdAt}.${last.id}`);
}

function parseCursor(cursor: string | undefined): [number, string] | null {
  const match = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(cursor ?? "");
  return match ? [Number(match[1]), match[2]!] : null;
}

function storedJobOf(row: JobRow): StoredJob {
  return {
    hypervisorId: row.hypervisor_id,
    parentId: row.parent_id,
    input: JSON.parse(row.input),
    job: {
      id: row.id,
      kind: row.kind,
      state: row.state,
      subjectId: row.subject_id,
      subjectName: row.subject_name,
      stage: row.stage,
      done: row.done,
      total: row.total,
      unit: row.unit,
      error: row.error === null ? null : ErrorInfo.parse(JSON.parse(row.error)),
      items: JobItem.array().parse(JSON.parse(row.items)),
      cancellable: row.cancellable === 1,
      requestedBy: row.requested_by,
      createdAt: row.created_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
    },
  };
}
