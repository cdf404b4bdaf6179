import { Button, List, ListItem, PageSection } from "@patternfly/react-core";
import { isOpenJob, type Job, JobKind, JobState } from "../../../contracts/job.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { CancelJobButton, jobKindTitle, JobProgress, jobTitle } from "../../components/job_progress.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { CopyText } from "../../components/problem.tsx";
import { JobStateLabel, jobStateText } from "../../components/states.tsx";
import { Time } from "../../components/time.tsx";
import { formatDuration, formatExact } from "../../format.ts";
import { setQuery } from "../../router.ts";
import { useListQuery } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";

function columns(openId: string): Column<Job>[] {
  return [
    {
      title: "Job",
      render: (job) => (
        <Button
          variant="link"
          isInline
          aria-expanded={job.id === openId}
          onClick={() => setQuery({ job: job.id === openId ? null : job.id })}
        >
          {jobTitle(job)}
        </Button>
      ),
    },
    {
      title: "State",
      render: (job) =>
        isOpenJob(job)
          ? (
            <div className="kv-job-line">
              <JobProgress job={job} />
              <CancelJobButton job={job} />
            </div>
          )
          : <JobStateLabel state={job.state} />,
    },
    { title: "By", minor: true, render: (job) => job.requestedBy ?? "the dashboard" },
    { title: "Started", nowrap: true, render: (job) => <Time at={job.createdAt} /> },
    {
      title: "Took",
      nowrap: true,
      minor: true,
      render: (job) => job.startedAt && job.endedAt ? formatDuration(job.endedAt - job.startedAt) : "–",
    },
  ];
}

/** What runs, what ran, and why it failed. */
export function JobsPage() {
  const list = useListQuery();
  const openId = list.filter("job");
  const state = JobState.safeParse(list.filter("state")).data;
  const kind = JobKind.safeParse(list.filter("kind")).data;
  const open = list.filter("open") === "true";
  const query = {
    ...list.paging,
    ...(state ? { state } : {}),
    ...(kind ? { kind } : {}),
    ...(open ? { open: "true" as const } : {}),
  };
  const loaded = useLoad(JSON.stringify(query), (signal) => call("listJobs", { query, signal }));
  useEvents((event) => {
    if (event.type !== "job") return;
    const known = loaded.value?.items.some((one) => one.id === event.job.id);
    if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.job) }));
    else loaded.reloadSoon();
  });
  const narrowed = list.q !== "" || state !== undefined || kind !== undefined || open;
  return (
    <>
      <PageHead title="Jobs" />
      <PageSection isFilled>
        {openId && !loaded.value?.items.some((job) => job.id === openId) && <OneJob id={openId} />}
        <ListToolbar
          list={{ ...list, narrowed }}
          total={loaded.value?.total}
          search="Machine or what was done"
          filters={[
            {
              name: "state",
              title: "State",
              options: JobState.options.map((value) => ({ value, text: jobStateText(value) })),
            },
            {
              name: "kind",
              title: "Kind",
              options: JobKind.options.map((value) => ({ value, text: jobKindTitle(value) })),
            },
          ]}
        />
        <DataTable
          label="Jobs"
          loaded={loaded}
          list={{ ...list, narrowed }}
          columns={columns(openId)}
          nameOf={jobTitle}
          detail={(job) =>
            job.id === openId || job.state === "failed"
              ? <JobDetail job={job} full={job.id === openId} />
              : null}
          empty={{
            title: "No jobs yet",
            text: "Copies, populates and mass actions show here, with their progress and result.",
          }}
        />
        {(loaded.value?.total ?? 0) > list.perPage && (
          <ListPagination list={list} total={loaded.value?.total ?? 0} />
        )}
      </PageSection>
    </>
  );
}

/** A job that a link names but that is not on this page of the list. */
function OneJob({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getJob", { params: { id }, signal }));
  if (!loaded.value) return null;
  const { job } = loaded.value;
  return (
    <div className="kv-gap-below">
      <h2 className="kv-subhead">{jobTitle(job)}</h2>
      <JobDetail job={job} full />
    </div>
  );
}

function JobDetail({ job, full }: { job: Job; full: boolean }) {
  const failed = job.items.filter((item) => !item.ok);
  return (
    <div className="kv-job-detail">
      {job.error && <p>{job.error.message}</p>}
      {full && failed.length > 0 && (
        <List isPlain>
          {failed.map((item) => <ListItem key={item.id}>{item.name}: {item.message}</ListItem>)}
        </List>
      )}
      {full && (
        <p className="kv-quiet">
          {job.stage} · {job.items.length - failed.length} done, {failed.length} failed · asked for by{" "}
          {job.requestedBy ?? "the dashboard"} on {formatExact(job.createdAt)}
        </p>
      )}
      {(job.error || full) && <CopyText text={detailsOf(job)} />}
    </div>
  );
}

/** What an admin can paste into a ticket. */
function detailsOf(job: Job): string {
  return [
    `${jobTitle(job)}: ${job.state}`,
    ...(job.error ? [job.error.message, `code: ${job.error.code}`] : []),
    ...job.items.filter((item) => !item.ok).map((item) => `${item.name}: ${item.message}`),
    `job: ${job.id}`,
    `time: ${new Date(job.createdAt).toISOString()}`,
  ].join("\n");
}
