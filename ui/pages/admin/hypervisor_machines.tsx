import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { DataTable } from "../../components/data_table.tsx";
import { plural } from "../../format.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { machineColumns } from "./machine_columns.tsx";
import { machineMenu } from "./machine_menu.ts";

const shown = 50;

/** The machines of one host. */
export function HypervisorMachines({ hypervisor }: { hypervisor: Hypervisor }) {
  const { id, machineCount } = hypervisor;
  const loaded = useLoad(
    `machines ${id} ${machineCount}`,
    (signal) => call("listMachines", { query: { hypervisorId: id, limit: shown }, signal }),
  );
  useEvents((event) =>
    event.type === "machine" &&
    loaded.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }))
  );
  return (
    <Card>
      <CardTitle component="h2">{plural(machineCount, "machine")}</CardTitle>
      <CardBody>
        <DataTable
          label="Machines"
          loaded={loaded}
          columns={machineColumns(false).filter(({ title }) => title !== "Hypervisor")}
          actions={machineMenu}
          nameOf={(machine) => machine.name}
          empty={{
            title: "No machines here yet",
            text: "Create machines on this host, or import those that libvirt has already.",
          }}
        />
        {machineCount > shown && (
          <a href={`/machines?hypervisorId=${id}`}>Show all {plural(machineCount, "machine")}</a>
        )}
      </CardBody>
    </Card>
  );
}
