import {
  Card,
  CardBody,
  CardTitle,
  CodeBlock,
  CodeBlockCode,
  ExpandableSection,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Job } from "../../../contracts/job.ts";
import type { Lease } from "../../../contracts/desktop.ts";
import type { Machine } from "../../../contracts/machine.ts";
import { plainPaths } from "../../../contracts/api.ts";
import { call, fetchText } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { jobKindTitle } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { JobStateLabel } from "../../components/states.tsx";
import { Time } from "../../components/time.tsx";
import { useEvents, useLoad } from "../../stores/load.ts";

const jobColumns: Column<Job>[] = [
  { title: "Job", render: (job) => <a href={`/jobs?job=${job.id}`}>{jobKindTitle(job.kind)}</a> },
  { title: "State", render: (job) => <JobStateLabel state={job.state} /> },
  { title: "By", render: (job) => job.requestedBy ?? "the dashboard" },
  { title: "When", nowrap: true, render: (job) => <Time at={job.createdAt} /> },
  { title: "Result", render: (job) => job.error?.message ?? job.stage },
];

const leaseColumns: Column<Lease>[] = [
  { title: "User", render: (lease) => <a href={`/users/${lease.userId}`}>{lease.username}</a> },
  { title: "From", render: (lease) => lease.terminal ?? "–" },
  { title: "Since", nowrap: true, render: (lease) => <Time at={lease.startedAt} /> },
  { title: "Until", nowrap: true, render: (lease) => <Time at={lease.endedAt} never="now" /> },
  { title: "Why it ended", render: (lease) => lease.endReason ?? "" },
];

/** What was done to the machine, and who worked on it. */
export function MachineHistory({ machine }: { machine: Machine }) {
  const jobs = useLoad(
    machine.id,
    (signal) => call("listJobs", { query: { subjectId: machine.id, limit: 10 }, signal }),
  );
  useEvents((event) => event.type === "job" && event.job.subjectId === machine.id && jobs.reloadSoon());
  return (
    <Card>
      <CardTitle component="h2">History</CardTitle>
      <CardBody>
        <div className="kv-stack">
          <DataTable
            label="Jobs of this machine"
            loaded={jobs}
            columns={jobColumns}
            nameOf={(job) => job.kind}
            empty={{
              title: "No jobs yet",
              text: "Copies, populates and other long work on this machine show here.",
            }}
          />
          {machine.role === "vdi" && <SessionHistory machine={machine} />}
        </div>
      </CardBody>
    </Card>
  );
}

function SessionHistory({ machine }: { machine: Machine }) {
  const leases = useLoad(
    `${machine.id} ${machine.lease?.id}`,
    (signal) => call("listLeases", { query: { machineId: machine.id, active: "false", limit: 10 }, signal }),
  );
  if (leases.value?.items.length === 0) return null;
  return (
    <DataTable
      label="Earlier sessions"
      loaded={leases}
      columns={leaseColumns}
      nameOf={(lease) => lease.username}
      empty={{ title: "Nobody yet", text: "" }}
    />
  );
}

/** The domain's XML for experts; fetched when it is opened. */
export function MachineXml({ machine }: { machine: Machine }) {
  const [open, setOpen] = useState(false);
  return (
    <ExpandableSection
      toggleText="Domain XML (read only)"
      isExpanded={open}
      onToggle={(_, expanded) => setOpen(expanded)}
    >
      {open && <XmlText machine={machine} />}
    </ExpandableSection>
  );
}

function XmlText({ machine }: { machine: Machine }) {
  const xml = useLoad(
    `${machine.id} ${machine.state}`,
    (signal) => fetchText("GET", plainPaths.xml(machine.id), signal),
  );
  if (xml.error) {
    return <InlineProblem title="The XML could not be read" error={xml.error} onRetry={xml.reload} />;
  }
  if (xml.value === undefined) return <Waiting />;
  return (
    <CodeBlock>
      <CodeBlockCode tabIndex={0} aria-label={`Domain XML of ${machine.name}`}>{xml.value}</CodeBlockCode>
    </CodeBlock>
  );
}
