import { z } from "zod";
import { Id, ListQuery, UnixMs } from "./common.ts";
import { ErrorInfo } from "./errors.ts";

export const JobState = z.enum(["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]);
export type JobState = z.infer<typeof JobState>;
export const JobKind = z.enum([
  "create-machine",
  "create-machines",
  "delete-machine",
  "copy-disk",
  "populate",
  "bulk",
  "reset-desktop",
  "enrol-hypervisor",
  "update-agents",
  "publish",
  "seal",
  "distribute",
  "delete-image",
  "copy-image",
  "receive-image",
  "send-image",
  "move-machine",
  "copy-machine",
  "flatten",
  "resize-disk",
  "create-data-disk",
  "start-desktops",
  "shut-down-desktops",
]);
export type JobKind = z.infer<typeof JobKind>;

/** How one item of a job with several ended. */
export const JobItem = z.object({
  id: z.string(),
  name: z.string(),
  ok: z.boolean(),
  message: z.string().nullable(),
});
export type JobItem = z.infer<typeof JobItem>;

export const Progress = z.object({
  stage: z.string().describe("what is being done now, for people"),
  done: z.number(),
  total: z.number().describe("0 while unknown"),
  unit: z.enum(["bytes", "items"]),
});
export type Progress = z.infer<typeof Progress>;

export const Job = Progress.extend({
  id: Id,
  kind: JobKind,
  state: JobState,
  subjectId: z.string().nullable(),
  subjectName: z.string(),
  error: ErrorInfo.nullable(),
  items: z.array(JobItem),
  cancellable: z.boolean(),
  requestedBy: z.string().nullable().describe("username; null: the dashboard itself"),
  createdAt: UnixMs,
  startedAt: UnixMs.nullable(),
  endedAt: UnixMs.nullable(),
});
export type Job = z.infer<typeof Job>;

export const JobQuery = ListQuery.extend({
  state: JobState.optional(),
  open: z.enum(["true", "false"]).transform((text) => text === "true").optional(),
  kind: JobKind.optional(),
  subjectId: z.string().optional(),
});
export const isOpenJob = (job: { state: JobState }) => job.state === "queued" || job.state === "running";
