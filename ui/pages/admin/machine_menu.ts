import type { IAction } from "@patternfly/react-table";
import type { Machine } from "../../../contracts/machine.ts";
import { navigate } from "../../router.ts";
import {
  allowedPower,
  changeMachine,
  copyDisk,
  deleteMachine,
  kickViewers,
  openConsole,
  openInViewer,
  populate,
  powerMachine,
  powerTexts,
} from "../../stores/machine_actions.ts";

/** What a machine's menu offers now, in the table as on its page. `onDeleted` runs once its deletion has been asked for. */
export function machineMenu(machine: Machine, onDeleted?: () => void): IAction[] {
  const running = machine.state === "running";
  const busy = machine.jobId !== null;
  return [
    ...allowedPower(machine).map((action): IAction => ({
      title: powerTexts[action],
      onClick: () => void powerMachine(machine, action),
    })),
    { isSeparator: true },
    { title: "Open console", isDisabled: !running, onClick: () => openConsole(machine) },
    { title: "Open in viewer", isDisabled: !running, onClick: () => void openInViewer(machine) },
    ...(machine.viewers > 0
      ? [{ title: "Close open displays", onClick: () => void kickViewers(machine) }]
      : []),
    ...imageActions(machine, busy),
    { isSeparator: true },
    {
      title: machine.maintenance ? "End maintenance" : "Set to maintenance",
      onClick: () => void changeMachine(machine, { maintenance: !machine.maintenance }),
    },
    {
      title: machine.virtualSnapshot ? "Virtual snapshot off" : "Virtual snapshot on",
      onClick: () => void changeMachine(machine, { virtualSnapshot: !machine.virtualSnapshot }),
    },
    {
      title: machine.locked ? "Unlock" : "Lock",
      onClick: () => void changeMachine(machine, { locked: !machine.locked }),
    },
    { isSeparator: true },
    {
      title: "Delete",
      isDanger: true,
      isDisabled: busy || machine.locked,
      onClick: () => void deleteMachine(machine).then((asked) => asked && onDeleted?.()),
    },
  ];
}

function imageActions(machine: Machine, busy: boolean): IAction[] {
  if (machine.role === "source") {
    return [{
      title: "New initial from this",
      onClick: () => navigate(`/machines/new?role=initial&sourceId=${machine.id}`),
    }];
  }
  if (machine.role === "initial") {
    return [
      {
        title: "Copy disk from source",
        isDisabled: busy || machine.sourceId === null,
        onClick: () => void copyDisk(machine),
      },
      {
        title: "Populate desktops",
        isDisabled: busy || machine.cloneCount === 0,
        onClick: () => void populate(machine),
      },
      {
        title: "New desktops from this",
        onClick: () => navigate(`/machines/new?role=vdi&sourceId=${machine.id}`),
      },
    ];
  }
  if (machine.role === "vdi") {
    return [{ title: "Populate", isDisabled: busy, onClick: () => void populate(machine) }];
  }
  return [];
}
