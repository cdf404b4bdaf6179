import type { Machine } from "../../../contracts/machine.ts";
import type { Column } from "../../components/data_table.tsx";
import { JobProgress } from "../../components/job_progress.tsx";
import { MachineFlags, MachineStateLabel, RoleLabel } from "../../components/states.tsx";
import { Thumbnail } from "../../components/thumbnail.tsx";
import { formatMiB } from "../../format.ts";
import { openJobOf } from "../../stores/live.ts";
import { hypervisorName } from "../../stores/places.ts";

function NameCell({ machine, thumbnail }: { machine: Machine; thumbnail: boolean }) {
  const job = openJobOf(machine);
  return (
    <div className="kv-name-cell">
      {thumbnail && <Thumbnail machine={machine} />}
      <div>
        <a href={`/machines/${machine.id}`}>{machine.name}</a>
        {job && <JobProgress job={job} compact />}
      </div>
    </div>
  );
}

function LoadCell({ machine }: { machine: Machine }) {
  if (machine.state !== "running") return <span className="kv-quiet">–</span>;
  const memory = machine.memoryUsedMiB === null
    ? formatMiB(machine.memoryMiB)
    : `${formatMiB(machine.memoryUsedMiB)} of ${formatMiB(machine.memoryMiB)}`;
  return (
    <span className="kv-load">
      {machine.cpuPercent === null ? "–" : `${Math.round(machine.cpuPercent)} %`}
      <small>{memory}</small>
    </span>
  );
}

/** Columns of the machine table. */
export function machineColumns(thumbnails: boolean): Column<Machine>[] {
  return [
    {
      title: "Name",
      sort: "name",
      render: (machine) => <NameCell machine={machine} thumbnail={thumbnails} />,
    },
    { title: "Role", sort: "role", render: (machine) => <RoleLabel role={machine.role} /> },
    {
      title: "State",
      sort: "state",
      render: (machine) => (
        <span className="kv-labels">
          <MachineStateLabel machine={machine} />
          <MachineFlags machine={machine} />
        </span>
      ),
    },
    {
      title: "Desktop pool",
      minor: true,
      render: (machine) =>
        machine.desktopPools.map((pool, index) => (
          <span key={pool.id}>
            {index > 0 && ", "}
            <a href={`/desktop-pools/${pool.id}`}>{pool.name}</a>
          </span>
        )),
    },
    {
      title: "User",
      render: (machine) =>
        machine.lease && <a href={`/users/${machine.lease.userId}`}>{machine.lease.username}</a>,
    },
    {
      title: "Hypervisor",
      sort: "hypervisor",
      minor: true,
      render: (machine) => (
        <a href={`/hypervisors/${machine.hypervisorId}`}>{hypervisorName(machine.hypervisorId)}</a>
      ),
    },
    {
      title: "Address",
      minor: true,
      nowrap: true,
      render: (machine) => machine.addresses[0] ?? <span className="kv-quiet">–</span>,
    },
    {
      title: "CPU, memory",
      sort: "memoryMiB",
      nowrap: true,
      render: (machine) => <LoadCell machine={machine} />,
    },
  ];
}
