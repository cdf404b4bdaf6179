import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import type { Column } from "../../components/data_table.tsx";
import { JobProgress } from "../../components/job_progress.tsx";
import { Meter } from "../../components/meter.tsx";
import { formatBytes, formatMiB } from "../../format.ts";
import { openJobs } from "../../stores/live.ts";
import { HypervisorLabels } from "./hypervisor_labels.tsx";
import { committedMemory, runningShare } from "./hypervisor_words.ts";

function NameCell({ hypervisor }: { hypervisor: Hypervisor }) {
  const { id, name, ssh, jobId } = hypervisor;
  const job = openJobs.value.find((one) => one.id === jobId);
  return (
    <>
      <a href={`/hypervisors/${id}`}>{name}</a>
      <div className="kv-quiet">
        {ssh ? `${ssh.username}@${ssh.address}${ssh.port === 22 ? "" : `:${ssh.port}`}` : "this host"}
      </div>
      {job && <JobProgress job={job} compact />}
    </>
  );
}

function LoadCell({ hypervisor: { load, facts } }: { hypervisor: Hypervisor }) {
  if (!load || !facts) return <span className="kv-quiet">not known</span>;
  return (
    <div className="kv-meter-pair">
      <Meter label="CPU" percent={load.cpuPercent} text={`${Math.round(load.cpuPercent)} %`} />
      <Meter
        label="Memory"
        percent={load.memoryUsedMiB / facts.memoryMiB * 100}
        text={`${formatMiB(facts.memoryMiB - load.memoryUsedMiB)} free`}
      />
    </div>
  );
}

function CapacityCell({ hypervisor }: { hypervisor: Hypervisor }) {
  const memory = committedMemory(hypervisor);
  const running = runningShare(hypervisor);
  if (!memory && !running) return <span className="kv-quiet">not known</span>;
  return (
    <div className="kv-meter-pair">
      {memory && <Meter label="Given" percent={memory.percent} text={memory.text} warnPercent={95} />}
      {running && <Meter label="Running" percent={running.percent} text={running.text} warnPercent={95} />}
    </div>
  );
}

function ImagesCell({ hypervisor }: { hypervisor: Hypervisor }) {
  const images = hypervisor.load?.storage.find((path) => path.kind === "images");
  if (!images) return null;
  return (
    <div className="kv-meter-pair">
      <Meter
        label="Free"
        percent={(1 - images.freeBytes / Math.max(1, images.totalBytes)) * 100}
        text={formatBytes(images.freeBytes)}
      />
    </div>
  );
}

function AgentCell({ hypervisor: { agentVersion, agentCommit } }: { hypervisor: Hypervisor }) {
  if (!agentVersion) return <span className="kv-quiet">not seen yet</span>;
  return (
    <>
      {agentVersion}
      {agentCommit && <div className="kv-quiet">{agentCommit.slice(0, 7)}</div>}
    </>
  );
}

/** Columns of the hypervisor table. */
export const hypervisorColumns: Column<Hypervisor>[] = [
  { title: "Name", nowrap: true, render: (one) => <NameCell hypervisor={one} /> },
  { title: "State", render: (one) => <HypervisorLabels hypervisor={one} /> },
  {
    title: "Machines",
    nowrap: true,
    render: (one) => (
      <a href={`/machines?hypervisorId=${one.id}`}>
        {one.runningCount.toLocaleString("en")} of {one.machineCount.toLocaleString("en")} run
      </a>
    ),
  },
  { title: "Load", render: (one) => <LoadCell hypervisor={one} /> },
  { title: "Memory given", minor: true, render: (one) => <CapacityCell hypervisor={one} /> },
  { title: "Images", minor: true, render: (one) => <ImagesCell hypervisor={one} /> },
  { title: "Agent", minor: true, nowrap: true, render: (one) => <AgentCell hypervisor={one} /> },
];
