/** What the event stream tells about the whole system: the overview and the jobs. */
import { computed, signal } from "@preact/signals";
import type { DashboardEvent } from "../../contracts/events.ts";
import { isOpenJob, type Job } from "../../contracts/job.ts";
import type { Overview } from "../../contracts/settings.ts";
import { onEvent } from "../events.ts";

export const overview = signal<Overview | null>(null);
/** Open jobs, and those that ended while this page was open; newest first. */
export const jobs = signal<Job[]>([]);
export const openJobs = computed(() => jobs.value.filter(isOpenJob));

const keptJobs = 50;

/** The jobs after one was added or changed. */
export function withJob(list: Job[], job: Job): Job[] {
  const known = list.some((other) => other.id === job.id);
  if (known) return list.map((other) => other.id === job.id ? job : other);
  const all = [job, ...list].sort((a, b) => b.createdAt - a.createdAt);
  const ended = all.filter((other) => !isOpenJob(other)).slice(0, keptJobs);
  return all.filter((other) => isOpenJob(other) || ended.includes(other));
}

export function applyLive(event: DashboardEvent): void {
  if (event.type === "snapshot") {
    overview.value = event.overview;
    jobs.value = event.jobs;
  } else if (event.type === "overview") overview.value = event.overview;
  else if (event.type === "job") jobs.value = withJob(jobs.value, event.job);
}

onEvent(applyLive);

/** The open job on a machine, if its progress is known. */
export const openJobOf = (machine: { id: string; jobId: string | null }) =>
  openJobs.value.find((job) => job.id === machine.jobId || job.subjectId === machine.id);
