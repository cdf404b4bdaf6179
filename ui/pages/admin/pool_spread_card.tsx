import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import type { DesktopPoolDetail } from "../../../contracts/desktop_pool.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { Meter } from "../../components/meter.tsx";
import { percentOf } from "../../format.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";
import { hypervisors } from "../../stores/places.ts";
import { HypervisorLabels } from "./hypervisor_labels.tsx";
import { type PoolShare, spreadOf } from "./pool_spread.ts";

const columnsOf = (poolId: string): Column<PoolShare>[] => [
  {
    title: "Hypervisor",
    render: ({ id, hypervisor }) => <a href={`/hypervisors/${id}`}>{hypervisor?.name ?? "unknown"}</a>,
  },
  { title: "State", render: ({ hypervisor }) => hypervisor && <HypervisorLabels hypervisor={hypervisor} /> },
  {
    title: "Machines",
    nowrap: true,
    render: ({ id, total }) => (
      <a href={`/machines?desktopPoolId=${poolId}&hypervisorId=${id}`}>{total.toLocaleString("en")}</a>
    ),
  },
  {
    title: "Running",
    render: ({ running, total }) => (
      <Meter
        label="Running"
        percent={percentOf(running, total)}
        text={`${running.toLocaleString("en")} of ${total.toLocaleString("en")}`}
        warnPercent={101}
      />
    ),
  },
  { title: "In use", nowrap: true, render: ({ inUse }) => inUse.toLocaleString("en") },
  {
    title: "Kept for users",
    nowrap: true,
    minor: true,
    render: ({ keptFor }) => keptFor > 0 ? keptFor.toLocaleString("en") : "–",
  },
];

/** Where a pool's machines are: losing one hypervisor should not lose all of them. */
export function PoolSpreadCard({ pool }: { pool: DesktopPoolDetail }) {
  const loaded = useLoad(
    `spread ${pool.id} ${pool.machineIds.length}`,
    () => allMachines({ desktopPoolId: pool.id }),
  );
  useEvents((event) => {
    if (event.type === "machine") loaded.change((machines) => replaceById(machines, event.machine));
  });
  if (pool.counts.total === 0) return null;
  const shares = loaded.value && { items: spreadOf(loaded.value, hypervisors.value) };
  return (
    <Card>
      <CardTitle component="h2">Spread over hypervisors</CardTitle>
      <CardBody>
        <DataTable
          label="Machines by hypervisor"
          loaded={{ ...loaded, value: shares }}
          columns={columnsOf(pool.id)}
          nameOf={({ hypervisor, id }) => hypervisor?.name ?? id}
          empty={{ title: "No machines yet", text: "Choose VDI machines first." }}
        />
      </CardBody>
    </Card>
  );
}
