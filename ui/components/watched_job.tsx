import { Alert, AlertActionCloseButton, List, ListItem } from "@patternfly/react-core";
import { isOpenJob } from "../../contracts/job.ts";
import { call } from "../api.ts";
import { plural } from "../format.ts";
import { jobs } from "../stores/live.ts";
import { useLoad } from "../stores/load.ts";
import { CancelJobButton, JobProgress, jobTitle } from "./job_progress.tsx";

const shownItems = 5;

/** One job at the top of a page: its progress for all items, then how it ended. */
export function WatchedJob({ id, onClose }: { id: string; onClose: () => void }) {
  const live = jobs.value.find((one) => one.id === id);
  const loaded = useLoad(`${id} ${live?.state}`, (signal) => call("getJob", { params: { id }, signal }));
  const job = live ?? loaded.value?.job;
  if (!job) return null;
  if (isOpenJob(job)) {
    return (
      <div className="kv-job-line kv-gap-below">
        <JobProgress job={job} />
        <CancelJobButton job={job} />
      </div>
    );
  }
  const failed = job.items.filter((item) => !item.ok);
  const good = job.state === "succeeded" && failed.length === 0;
  return (
    <Alert
      isInline
      component="p"
      className="kv-gap-below"
      variant={good ? "success" : job.state === "cancelled" ? "info" : "warning"}
      title={good ? `${jobTitle(job)}: done` : `${jobTitle(job)}: ${plural(failed.length, "machine")} failed`}
      actionClose={<AlertActionCloseButton title="Close" onClose={onClose} />}
      actionLinks={<a href={`/jobs?job=${job.id}`}>Details</a>}
    >
      {job.error?.message}
      {failed.length > 0 && (
        <List isPlain>
          {failed.slice(0, shownItems).map((item) => (
            <ListItem key={item.id}>{item.name}: {item.message}</ListItem>
          ))}
        </List>
      )}
    </Alert>
  );
}
