import type { IAction } from "@patternfly/react-table";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { navigate } from "../../router.ts";
import {
  deleteHypervisor,
  setHypervisorMaintenance,
  stopDraining,
  updateAgents,
} from "./hypervisor_actions.ts";

/** A dialog of a hypervisor's menu, opened by the page that shows the menu. */
export interface HypervisorDialog {
  kind: "drain" | "enrol";
  hypervisor: Hypervisor;
}

interface Options {
  onDialog: (dialog: HypervisorDialog) => void;
  onDeleted?: () => void;
}

/** What an admin can do to a hypervisor now, in the table as on its page. */
export function hypervisorMenu(hypervisor: Hypervisor, { onDialog, onDeleted }: Options): IAction[] {
  const { maintenance, drain, agentOutdated, state, ssh, jobId, machineCount } = hypervisor;
  return [
    {
      title: maintenance ? "End maintenance" : "Set to maintenance",
      onClick: () => void setHypervisorMaintenance(hypervisor, !maintenance),
    },
    drain
      ? { title: "Stop draining, stay in maintenance", onClick: () => void stopDraining(hypervisor) }
      : { title: "Drain…", onClick: () => onDialog({ kind: "drain", hypervisor }) },
    { isSeparator: true },
    {
      title: "Update agent",
      isDisabled: !agentOutdated || state === "offline" || jobId !== null,
      onClick: () => void updateAgents([hypervisor]),
    },
    ...(ssh
      ? [{
        title: "Enrol again…",
        isDisabled: jobId !== null,
        onClick: () => onDialog({ kind: "enrol", hypervisor }),
      }]
      : []),
    { title: "Settings", onClick: () => navigate(`/hypervisors/${hypervisor.id}?tab=settings`) },
    { isSeparator: true },
    {
      title: "Remove",
      isDanger: true,
      isDisabled: machineCount > 0,
      ...(machineCount > 0 ? { description: "Move or delete its machines first" } : {}),
      onClick: () => void deleteHypervisor(hypervisor).then((gone) => gone && onDeleted?.()),
    },
  ];
}
