import { Button, Content, NotificationBadge, Popover } from "@patternfly/react-core";
import TasksIcon from "@patternfly/react-icons/dist/esm/icons/tasks-icon";
import { plural } from "../format.ts";
import { openJobs, overview } from "../stores/live.ts";
import { CancelJobButton, JobProgress } from "./job_progress.tsx";
import { menuHome } from "./overlay.ts";
import { WarningList } from "./warning_list.tsx";

const shownJobs = 6;

/** Running jobs in the masthead: how many, and a list with their progress. */
export function JobIndicator() {
  const count = openJobs.value.length;
  return (
    <Popover
      aria-label="Running jobs"
      headerContent={count ? `${plural(count, "job")} running` : "No job is running"}
      bodyContent={() => <OpenJobList />}
      footerContent={(hide) => <a href="/jobs" onClick={hide}>All jobs</a>}
      headerComponent="h2"
      appendTo={menuHome}
      position="bottom-end"
      minWidth="22rem"
    >
      <Button
        variant="plain"
        icon={<TasksIcon className={count ? "kv-busy" : ""} />}
        aria-label={`Jobs: ${count} running`}
      >
        {count > 0 && <span className="kv-count">{count}</span>}
      </Button>
    </Popover>
  );
}

function OpenJobList() {
  const jobs = openJobs.value;
  if (jobs.length === 0) {
    return <Content component="p">Copies, populates and mass actions show their progress here.</Content>;
  }
  return (
    <div className="kv-stack">
      {jobs.slice(0, shownJobs).map((job) => (
        <div className="kv-job-line" key={job.id}>
          <JobProgress job={job} />
          <CancelJobButton job={job} />
        </div>
      ))}
      {jobs.length > shownJobs && <Content component="small">and {jobs.length - shownJobs} more</Content>}
    </div>
  );
}

/** Warnings about the whole system, each with a link to its remedy. */
export function WarningBell() {
  const warnings = overview.value?.warnings ?? [];
  const severe = warnings.some((warning) => warning.severity === "danger");
  return (
    <Popover
      aria-label="Warnings"
      headerContent={warnings.length ? plural(warnings.length, "warning") : "Nothing needs attention"}
      bodyContent={(hide) => <WarningList warnings={warnings} onFollow={hide} />}
      headerComponent="h2"
      appendTo={menuHome}
      position="bottom-end"
      minWidth="22rem"
    >
      <NotificationBadge
        variant={severe ? "attention" : warnings.length ? "unread" : "read"}
        count={warnings.length}
        aria-label={plural(warnings.length, "warning")}
      />
    </Popover>
  );
}
