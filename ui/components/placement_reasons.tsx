import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import type { z } from "zod";
import type { PlacementReason } from "../../contracts/desktop.ts";

type Reason = z.infer<typeof PlacementReason>;

/** How each machine of a pool stood when the broker chose, or would stand now. */
export function PlacementReasons({ reasons, label }: { reasons: Reason[]; label: string }) {
  if (reasons.length === 0) return null;
  return (
    <div className="kv-table kv-reasons">
      <Table aria-label={label} variant="compact" gridBreakPoint="grid-md" borders={false}>
        <Thead>
          <Tr>
            <Th>Machine</Th>
            <Th>Hypervisor</Th>
            <Th>How it stands</Th>
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
