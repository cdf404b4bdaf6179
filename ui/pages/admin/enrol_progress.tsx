import { Alert, Button, Content, Spinner } from "@patternfly/react-core";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import { useEffect, useState } from "preact/hooks";
import type { ReactNode } from "react";
import { isOpenJob, type Job } from "../../../contracts/job.ts";
import { CancelJobButton, JobProgress } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { useJob } from "../../stores/job.ts";

interface Props {
  jobId: string;
  hypervisorName: string;
  /** Shown when it has failed: how to try again. */
  retry: ReactNode;
  /** Shown when the agent is installed. */
  success: ReactNode;
}

/** The installation of an agent, step by step; the page can be left meanwhile. */
export function EnrolProgress({ jobId, hypervisorName, retry, success }: Props) {
  const { job, loaded } = useJob(jobId);
  if (!job) {
    return loaded.error
      ? <InlineProblem title="The job could not be loaded" error={loaded.error} onRetry={loaded.reload} />
      : <Waiting />;
  }
  return (
    <div className="kv-stack" aria-live="polite">
      <Steps job={job} />
      {isOpenJob(job) && (
        <>
          {job.unit === "bytes" && job.total > 0 && <JobProgress job={job} />}
          <Content component="p" className="kv-quiet">
            You can leave this page: the installation goes on, and shows under Jobs.
          </Content>
          <div>
            <CancelJobButton job={job} />
          </div>
        </>
      )}
      {job.state === "succeeded" && success}
      {!isOpenJob(job) && job.state !== "succeeded" && (
        <>
          <Alert
            isInline
            component="p"
            variant={job.state === "cancelled" ? "warning" : "danger"}
            title={job.state === "cancelled"
              ? "The installation was cancelled"
              : `The agent of ${hypervisorName} was not installed`}
            actionLinks={
              <Button variant="link" isInline component="a" href={`/jobs?job=${job.id}`}>Details</Button>
            }
          >
            {job.error?.message ??
              (job.state === "interrupted" ? "The dashboard was restarted meanwhile." : "")}
          </Alert>
          {retry}
        </>
      )}
    </div>
  );
}

/**
 * The stages that a job has gone through while this page was open: a job tells only the one that it is at. Ended ones
 * before that are not known any more, which is no loss.
 */
function useStages(job: Job): string[] {
  const [seen, setSeen] = useState<string[]>([]);
  useEffect(() => {
    if (job.stage && isOpenJob(job)) setSeen((old) => old.at(-1) === job.stage ? old : [...old, job.stage]);
  }, [job.stage, job.state]);
  return seen;
}

function Steps({ job }: { job: Job }) {
  const stages = useStages(job);
  const open = isOpenJob(job);
  const succeeded = job.state === "succeeded";
  return (
    <ol className="kv-steps" aria-label="Steps of the installation">
      {stages.map((stage, index) => {
        const isLast = index === stages.length - 1;
        const state = !isLast || succeeded ? "done" : open ? "running" : "failed";
        return (
          <li key={stage}>
            <StepIcon state={state} />
            <span>{stage}</span>
          </li>
        );
      })}
      {open && stages.length === 0 && (
        <li>
          <StepIcon state="running" />
          <span>Waiting for its turn</span>
        </li>
      )}
      {job.items.map((item) => (
        <li key={item.id}>
          <StepIcon state={item.ok ? "done" : "failed"} />
          <span>
            {item.name}
            {item.message && <span className="kv-quiet">: {item.message}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}

function StepIcon({ state }: { state: "done" | "running" | "failed" }) {
  if (state === "running") return <Spinner size="md" aria-label="running" />;
  return state === "done"
    ? <CheckCircleIcon className="kv-step-done" aria-label="done" />
    : <ExclamationCircleIcon className="kv-step-failed" aria-label="failed" />;
}
