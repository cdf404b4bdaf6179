import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { isOpenJob, type Job } from "../../../contracts/job.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { CancelJobButton, jobKindTitle, JobProgress } from "../../components/job_progress.tsx";
import { JobStateLabel } from "../../components/states.tsx";
import { Time } from "../../components/time.tsx";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";

const columns: Column<Job>[] = [
  { title: "Job", render: (job) => <a href={`/jobs?job=${job.id}`}>{jobKindTitle(job.kind)}</a> },
  {
    title: "State",
    render: (job) =>
      isOpenJob(job)
        ? (
          <div className="kv-job-line">
            <JobProgress job={job} compact />
            <CancelJobButton job={job} />
          </div>
        )
        : <JobStateLabel state={job.state} />,
  },
  { title: "By", minor: true, render: (job) => job.requestedBy ?? "the dashboard" },
  { title: "When", nowrap: true, render: (job) => <Time at={job.createdAt} /> },
  { title: "Result", render: (job) => job.error?.message ?? job.stage },
];

/** What was done to the host itself: installations and updates of its agent. */
export function HypervisorJobs({ hypervisor }: { hypervisor: Hypervisor }) {
  const loaded = useLoad(
    `jobs ${hypervisor.id}`,
    (signal) => call("listJobs", { query: { subjectId: hypervisor.id, limit: 50 }, signal }),
  );
  useEvents((event) => {
    if (event.type !== "job" || event.job.subjectId !== hypervisor.id) return;
    const known = loaded.value?.items.some(({ id }) => id === event.job.id);
    if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.job) }));
    else loaded.reloadSoon();
  });
  return (
    <Card>
      <CardTitle component="h2">Jobs on this host</CardTitle>
      <CardBody>
        <DataTable
          label="Jobs of this hypervisor"
          loaded={loaded}
          columns={columns}
          nameOf={(job) => jobKindTitle(job.kind)}
          empty={{ title: "No jobs yet", text: "Installing and updating its agent show here." }}
        />
      </CardBody>
    </Card>
  );
}
