import { Alert, Button, Content, Spinner } from "@patternfly/react-core";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
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
          {job.unit === "bytes" && <JobProgress job={job} />}
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

function Steps({ job }: { job: Job }) {
  return (
    <ol className="kv-steps" aria-label="Steps of the installation">
      {job.items.map((item) => (
        <li key={item.id}>
          {item.ok
            ? <CheckCircleIcon className="kv-step-done" aria-label="done" />
            : <ExclamationCircleIcon className="kv-step-failed" aria-label="failed" />}
          <span>
            {item.name}
            {item.message && <span className="kv-quiet">: {item.message}</span>}
          </span>
        </li>
      ))}
      {isOpenJob(job) && (
        <li>
          <Spinner size="md" aria-label="running" />
          <span>{job.state === "queued" ? "Waiting for its turn" : job.stage}</span>
        </li>
      )}
    </ol>
  );
}
