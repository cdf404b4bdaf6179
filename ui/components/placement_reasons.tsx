import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import type { z } from "zod";
import type { PlacementReason } from "../../contracts/desktop.ts";

type Reason = z.infer<typeof PlacementReason>;

/** How each machine of a pool stood when the broker chose, or would stand now. */
export function PlacementReasons({ reasons, label }: { reasons: Reason[]; label: string }) {
  if (reasons.length === 0) return null;
  return (
    <div className="kv-table kv-reasons" role="region" aria-label={label} tabIndex={0}>
      <Table aria-label="Machines" variant="compact" gridBreakPoint="grid-md" borders={false}>
        <Thead>
          <Tr>
            <Th modifier="nowrap">Machine</Th>
            <Th modifier="nowrap">Hypervisor</Th>
            <Th modifier="nowrap">How it stands</Th>
          </Tr>
        </Thead>
        <Tbody>
          {reasons.map(({ machineName, hypervisorName, verdict }, index) => (
            <Tr key={index}>
              <Td dataLabel="Machine" modifier="nowrap">{machineName}</Td>
              <Td dataLabel="Hypervisor" modifier="nowrap">{hypervisorName}</Td>
              <Td dataLabel="How it stands">{verdict}</Td>
            </Tr>
          ))}
        </Tbody>
      </Table>
    </div>
  );
}
