import { Button, Label, PageSection } from "@patternfly/react-core";
import PlusIcon from "@patternfly/react-icons/dist/esm/icons/plus-icon";
import { useState } from "preact/hooks";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { Meter } from "../../components/meter.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { HypervisorStateLabel } from "../../components/states.tsx";
import { formatBytes, formatMiB } from "../../format.ts";
import { navigate } from "../../router.ts";
import { isAdmin } from "../../stores/session.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { AddHypervisorDialog } from "./add_hypervisor_dialog.tsx";
import { setHypervisorMaintenance } from "./hypervisor_actions.ts";

const columns: Column<Hypervisor>[] = [
  {
    title: "Name",
    render: (one) => (
      <>
        <a href={`/hypervisors/${one.id}`}>{one.name}</a>
        <div className="kv-quiet">{one.address}</div>
      </>
    ),
  },
  {
    title: "State",
    render: (one) => (
      <span className="kv-labels">
        <HypervisorStateLabel hypervisor={one} />
        {one.maintenance && <Label isCompact color="orange">Maintenance</Label>}
        {one.agentOutdated && <Label isCompact color="yellow">Agent out of date</Label>}
      </span>
    ),
  },
  {
    title: "Machines",
    nowrap: true,
    render: (one) =>
      `${one.runningCount.toLocaleString("en")} of ${one.machineCount.toLocaleString("en")} run`,
  },
  {
    title: "CPU",
    render: (one) =>
      one.load && (
        <Meter label="CPU" percent={one.load.cpuPercent} text={`${Math.round(one.load.cpuPercent)} %`} />
      ),
  },
  {
    title: "Memory",
    render: (one) =>
      one.load && one.facts && (
        <Meter
          label="Memory"
          percent={one.load.memoryUsedMiB / one.facts.memoryMiB * 100}
          text={`${formatMiB(one.facts.memoryMiB - one.load.memoryUsedMiB)} free`}
        />
      ),
  },
  {
    title: "Images",
    minor: true,
    render: (one) => {
      const images = one.load?.storage.find((path) => path.kind === "images");
      return images && (
        <Meter
          label="Images"
          percent={(1 - images.freeBytes / images.totalBytes) * 100}
          text={`${formatBytes(images.freeBytes)} free`}
        />
      );
    },
  },
];

/** The hosts that run machines: state, load and space. */
export function HypervisorsPage() {
  const [adding, setAdding] = useState(false);
  const loaded = useLoad(
    "hypervisors",
    (signal) => call("listHypervisors", { query: { limit: 500 }, signal }),
  );
  useEvents((event) => {
    if (event.type === "hypervisor") {
      const known = loaded.value?.items.some((one) => one.id === event.hypervisor.id);
      if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.hypervisor) }));
      else loaded.reloadSoon();
    }
    if (event.type === "hypervisor-removed") loaded.reloadSoon();
  });
  return (
    <>
      <PageHead
        title="Hypervisors"
        actions={isAdmin.value && (
          <Button icon={<PlusIcon />} onClick={() => setAdding(true)}>Add hypervisor</Button>
        )}
      />
      <PageSection isFilled>
        <DataTable
          label="Hypervisors"
          loaded={loaded}
          columns={columns}
          nameOf={(one) => one.name}
          detail={(one) => one.state !== "online" && one.stateReason}
          actions={(one) =>
            isAdmin.value
              ? [{
                title: one.maintenance ? "End maintenance" : "Set to maintenance",
                onClick: () => void setHypervisorMaintenance(one, !one.maintenance),
              }]
              : []}
          empty={{
            title: "No hypervisors",
            text:
              "Start the dashboard with --local-hypervisor to use this host, and see the installation guide for more.",
          }}
        />
      </PageSection>
      {adding && (
        <AddHypervisorDialog
          onClose={() => setAdding(false)}
          onAdded={(hypervisor) => navigate(`/hypervisors/${hypervisor.id}`)}
        />
      )}
    </>
  );
}
