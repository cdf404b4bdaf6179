/** Steps of jobs that go on after a restart of the dashboard. */
import type { AgentOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob, type Job, type Progress } from "../../contracts/job.ts";
import type { App } from "../app.ts";
import type { EndedStep, JobRequest, LocalOperation } from "../jobs/service.ts";

/** Has an agent do something once: what was begun or done before the dashboard was restarted counts. */
export async function takeStep(
  app: App,
  operation: LocalOperation,
  request: Omit<JobRequest, "by" | "parentId">,
  hypervisorId: string,
  work: AgentOperation,
  onProgress?: (progress: Progress) => void,
): Promise<EndedStep> {
  const earlier = (await operation.earlierSteps()).findLast((step) =>
    step.kind === request.kind && step.subjectName === request.subject.name &&
    (isOpenJob(step) || step.state === "succeeded")
  );
  if (!earlier) {
    const ended = await operation.step(request, hypervisorId, work, onProgress);
    // Its last progress may not have been told any more.
    if (ended.state === "succeeded") {
      onProgress?.({ stage: ended.stage, done: ended.done, total: ended.total, unit: ended.unit });
    }
    return ended;
  }
  const ended = await app.jobs.ended(earlier.id, operation.signal);
  return { ...ended, result: await app.jobs.resultOf(earlier.id, hypervisorId) };
}

/** @throws {AppError} what the step failed with. */
export function requireSuccess<T extends Job>(step: T): T {
  if (step.state === "succeeded") return step;
  throw new AppError(
    step.error?.code ?? "interrupted",
    step.error?.message ?? `${step.kind} of ${step.subjectName} ended as ${step.state}. Start it again.`,
  );
}
