import type { IAction } from "@patternfly/react-table";
import type { Machine } from "../../../contracts/machine.ts";
import { navigate } from "../../router.ts";
import { hypervisors } from "../../stores/places.ts";
import { openCopyDisk } from "./copy_disk_dialog.tsx";
import { openDeletion } from "./machine_deletion_dialog.tsx";
import { flatten, openCopy, openDataDisk, openMove, openResize } from "./machine_disk_dialogs.tsx";
import {
  allowedPower,
  changeMachine,
  kickViewers,
  openConsole,
  openInViewer,
  populate,
  powerMachine,
  powerTexts,
  releaseMachine,
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
    ...(machine.keptFor
      ? [{
        title: `Release, kept for ${machine.keptFor.username}`,
        onClick: () => void releaseMachine(machine),
      }]
      : []),
    ...imageActions(machine, busy),
    { isSeparator: true },
    ...diskActions(machine, busy),
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
      onClick: () => openDeletion(machine, onDeleted),
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
        onClick: () => openCopyDisk(machine),
      },
      { title: "Versions", onClick: () => navigate(`/images/${machine.id}`) },
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

/** What changes where and how large a machine's disks are. They must not be in use meanwhile. */
function diskActions(machine: Machine, busy: boolean): IAction[] {
  const inUse = busy || (machine.state !== "shut-off" && machine.state !== "crashed");
  const alone = hypervisors.value.length < 2;
  const noDisk = machine.diskBytes === null;
  return [
    {
      title: "Move to another hypervisor",
      isDisabled: inUse || alone || machine.role === "initial",
      onClick: () => openMove(machine),
    },
    ...(machine.role === "initial"
      ? []
      : [{ title: "Copy machine", isDisabled: inUse || noDisk, onClick: () => openCopy(machine) }]),
    ...(machine.role === "vdi"
      ? [
        { title: "Make stand-alone", isDisabled: inUse || noDisk, onClick: () => void flatten(machine) },
        ...(machine.dataDisk?.scope === "user" ? [] : [{
          title: machine.dataDisk ? "Make data disk larger" : "Add data disk",
          isDisabled: inUse,
          onClick: () => openDataDisk(machine),
        }]),
      ]
      : [{ title: "Make disk larger", isDisabled: inUse || noDisk, onClick: () => openResize(machine) }]),
  ];
}
