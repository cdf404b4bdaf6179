import { Button, Progress } from "@patternfly/react-core";
import type { Job, JobKind } from "../../contracts/job.ts";
import { isOpenJob } from "../../contracts/job.ts";
import { call } from "../api.ts";
import { formatBytes, formatPace, percentOf } from "../format.ts";
import { useAction } from "../stores/action.ts";
import { now } from "../stores/clock.ts";
import { applyLive } from "../stores/live.ts";

const titles: Record<JobKind, string> = {
  "create-machine": "Create machine",
  "create-machines": "Create machines",
  "delete-machine": "Delete machine",
  "copy-disk": "Copy disk",
  populate: "Populate",
  bulk: "Mass action",
  "reset-desktop": "Reset desktop",
  "enrol-hypervisor": "Install agent",
  "update-agents": "Update agents",
  publish: "Publish",
  seal: "Seal",
  distribute: "Copy to hypervisors",
  "delete-image": "Delete version",
  "copy-image": "Copy image",
  "receive-image": "Receive image",
  "send-image": "Send image",
  "move-machine": "Move machine",
  "copy-machine": "Copy machine",
  flatten: "Make stand-alone",
  "resize-disk": "Resize disk",
  "create-data-disk": "Create data disk",
  "start-desktops": "Start desktops",
  "shut-down-desktops": "Shut down idle desktops",
};

/** "Copy disk: lab-golden". */
export const jobTitle = (job: Pick<Job, "kind" | "subjectName">) =>
  job.subjectName ? `${titles[job.kind]}: ${job.subjectName}` : titles[job.kind];
export const jobKindTitle = (kind: JobKind) => titles[kind];

function amountOf(job: Job): string {
  if (job.total <= 0) return job.stage;
  const amount = job.unit === "bytes"
    ? `${formatBytes(job.done)} of ${formatBytes(job.total)}`
    : `${job.done} of ${job.total}`;
  return [job.stage, amount, formatPace(job, Math.max(now.value, Date.now()))].filter(Boolean).join(" · ");
}

/** An open job as a bar with what it does, how fast, and how long it will take. */
export function JobProgress({ job, compact = false }: { job: Job; compact?: boolean }) {
  return (
    <Progress
      id={`job-${job.id}${compact ? "-compact" : ""}`}
      size="sm"
      title={compact ? jobKindTitle(job.kind) : jobTitle(job)}
      value={percentOf(job.done, job.total)}
      label={job.state === "queued" ? "waiting" : job.total > 0 ? `${percentOf(job.done, job.total)} %` : "…"}
      helperText={compact ? undefined : amountOf(job)}
      className="kv-job-progress"
    />
  );
}

/** Stops a job that allows it. */
export function CancelJobButton({ job }: { job: Job }) {
  const cancel = useAction(async () => {
    const answer = await call("cancelJob", { params: { id: job.id } });
    applyLive({ type: "job", job: answer.job });
  }, `Could not cancel ${jobTitle(job)}`);
  if (!isOpenJob(job) || !job.cancellable) return null;
  return (
    <Button
      variant="secondary"
      size="sm"
      isLoading={cancel.busy}
      isDisabled={cancel.busy}
      onClick={() => void cancel.run()}
      aria-label={`Cancel ${jobTitle(job)}`}
    >
      Cancel
    </Button>
  );
}
