/** What can be done to machines, with the questions to ask first. Used by the table, the groups and the machine page. */
import type { BulkAction, Machine, MachineQuery, PowerAction } from "../../contracts/machine.ts";
import type { MachineState } from "../../contracts/machine.ts";
import { plainPaths } from "../../contracts/api.ts";
import { call, fetchText, urlOf } from "../api.ts";
import { publish } from "../events.ts";
import { plural } from "../format.ts";
import { confirm, type Question } from "./confirm.ts";
import { followJob } from "./follow.ts";
import { readAll } from "./pages.ts";
import { toastError } from "./toasts.ts";

const powerActions: Record<MachineState, PowerAction[]> = {
  running: ["shutdown", "reboot", "destroy", "suspend"],
  "shut-off": ["start"],
  crashed: ["start"],
  paused: ["resume", "destroy"],
  suspended: ["resume", "destroy"],
  unknown: [],
};

/** Power actions that make sense now; none while one is under way, except pulling the plug. */
export function allowedPower(machine: Pick<Machine, "state" | "pendingAction">): PowerAction[] {
  const actions = powerActions[machine.state];
  return machine.pendingAction ? actions.filter((action) => action === "destroy") : actions;
}

export const powerTexts: Record<PowerAction, string> = {
  start: "Start",
  shutdown: "Shut down",
  reboot: "Reboot",
  destroy: "Power off",
  suspend: "Suspend",
  resume: "Resume",
};

const usersOf = (machines: Machine[]) => [...new Set(machines.flatMap((one) => one.lease?.username ?? []))];

function inUseText(machines: Machine[]): string {
  const users = usersOf(machines);
  if (users.length === 0) return "";
  return users.length === 1
    ? ` ${users[0]} is working on it.`
    : ` ${users.length} users are working on them.`;
}

/** What to ask before a power action on one machine; null when nothing can be lost. */
function powerQuestion(machine: Machine, action: PowerAction): Question | null {
  const volatile = machine.virtualSnapshot
    ? " It runs with a virtual snapshot: what was written since its start is dropped."
    : "";
  if (action === "destroy") {
    return {
      title: `Power off ${machine.name}?`,
      body: `This is like pulling the plug: work that is not saved is lost.${
        inUseText([machine])
      }${volatile}`,
      confirmText: "Power off",
      danger: true,
    };
  }
  if ((action === "shutdown" || action === "reboot") && (machine.lease || volatile)) {
    return {
      title: `${powerTexts[action]} ${machine.name}?`,
      body: `The guest is asked to ${powerTexts[action].toLowerCase()}.${inUseText([machine])}${volatile}`,
      confirmText: powerTexts[action],
      danger: true,
    };
  }
  return null;
}

/** Carries out a power action after asking if work could be lost. The table shows it as pending at once. */
export async function powerMachine(machine: Machine, action: PowerAction): Promise<void> {
  const question = powerQuestion(machine, action);
  if (question && !(await confirm(question))) return;
  publish({ type: "machine", machine: { ...machine, pendingAction: action } });
  try {
    const answer = await call("powerMachine", { params: { id: machine.id }, body: { action } });
    publish({ type: "machine", machine: answer.machine });
  } catch (error) {
    publish({ type: "machine", machine });
    toastError(`Could not ${powerTexts[action].toLowerCase()} ${machine.name}`, error);
  }
}

export const bulkTexts: Record<BulkAction, string> = {
  start: "Start",
  shutdown: "Shut down",
  reboot: "Reboot",
  destroy: "Power off",
  "maintenance-on": "Maintenance on",
  "maintenance-off": "Maintenance off",
  "virtual-snapshot-on": "Virtual snapshot on",
  "virtual-snapshot-off": "Virtual snapshot off",
  populate: "Populate",
  delete: "Delete",
};

function bulkLoss(action: BulkAction, machines: Machine[]): string | null {
  const inUse = inUseText(machines);
  switch (action) {
    case "shutdown":
    case "reboot":
      return inUse && `The guests are asked to ${bulkTexts[action].toLowerCase()}.${inUse}`;
    case "destroy":
      return `This is like pulling the plug: work that is not saved is lost.${inUse}`;
    case "populate":
      return `Their disks are made anew from the image: everything written on them is lost.${inUse}`;
    case "delete":
      return `The machines and their disks are deleted for good.${inUse}`;
    case "start":
      return machines.length > 20 ? "Starting many machines at once loads the hypervisors." : null;
    default:
      return null;
  }
}

function bulkQuestion(action: BulkAction, machines: Machine[]): Question | null {
  const loss = bulkLoss(action, machines);
  if (!loss) return null;
  const count = plural(machines.length, "machine");
  return {
    title: `${bulkTexts[action]}: ${count}?`,
    body: loss,
    affected: machines.map((machine) => machine.name),
    confirmText: `${bulkTexts[action]} ${count}`,
    danger: action !== "start",
    ...(action === "delete" && machines.length > 1 ? { typed: `delete ${machines.length}` } : {}),
  };
}

/** Starts one job for many machines, after asking if work could be lost. Resolves to whether it was started. */
export async function bulkMachines(machines: Machine[], action: BulkAction): Promise<boolean> {
  const question = bulkQuestion(action, machines);
  if (question && !(await confirm(question))) return false;
  try {
    const answer = await call("bulkMachines", { body: { ids: machines.map((one) => one.id), action } });
    followJob(answer.job, `${bulkTexts[action]}: ${plural(machines.length, "machine")} done`);
    return true;
  } catch (error) {
    toastError(`${bulkTexts[action]} failed`, error);
    return false;
  }
}

/** Recreates the overlays of all desktops of an initial, or of the one vdi. */
export async function populate(machine: Machine): Promise<void> {
  const agreed = await confirm({
    title: machine.role === "initial"
      ? `Populate the ${plural(machine.cloneCount, "desktop")} of ${machine.name}?`
      : `Populate ${machine.name}?`,
    body:
      "The disks are made anew from the current version of the image: everything written on them since the last " +
      "populate is lost; personal data disks stay. Running machines are refused.",
    confirmText: "Populate",
    danger: true,
  });
  if (!agreed) return;
  await runJob(
    `Could not populate ${machine.name}`,
    `Populated ${machine.name}`,
    () => call("populate", { params: { id: machine.id }, body: {} }),
  );
}

/** Starts a job, says at once why it was refused or later how it ended. Resolves to whether it was started. */
export async function runJob(
  failure: string,
  success: string,
  start: () => Promise<{ job: Parameters<typeof followJob>[0] }>,
): Promise<boolean> {
  try {
    followJob((await start()).job, success);
    return true;
  } catch (error) {
    toastError(failure, error);
    return false;
  }
}

/** Switches a flag of one machine. */
export async function changeMachine(
  machine: Machine,
  body: { maintenance?: boolean; virtualSnapshot?: boolean; locked?: boolean },
): Promise<void> {
  try {
    const answer = await call("updateMachine", { params: { id: machine.id }, body });
    publish({ type: "machine", machine: answer.machine });
  } catch (error) {
    toastError(`Could not change ${machine.name}`, error);
  }
}

/** Downloads a one-time `.vv` file that remote-viewer opens. */
export async function openInViewer(machine: Pick<Machine, "id" | "name">): Promise<void> {
  try {
    const url = urlOf("/api/machines/:id/console", { id: machine.id }, { format: "vv" });
    const blob = new Blob([await fetchText("POST", url)], { type: "application/x-virt-viewer" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${machine.name}.vv`;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    toastError(`Could not open ${machine.name} in the viewer`, error);
  }
}

export const openConsole = (machine: Pick<Machine, "id">) =>
  void globalThis.open(`/console/machine/${machine.id}`, `console-${machine.id}`);

export const screenshotUrl = (machine: Pick<Machine, "id">, round: number) =>
  `${plainPaths.screenshot(machine.id)}?round=${round}`;

/** Closes every open display of a machine, after a question. */
export async function kickViewers(machine: Machine): Promise<void> {
  const agreed = await confirm({
    title: `Close the open displays of ${machine.name}?`,
    body: `Whoever looks at it is disconnected; the machine goes on.${inUseText([machine])}`,
    confirmText: "Close displays",
    danger: true,
  });
  if (!agreed) return;
  try {
    await call("kickViewers", { params: { id: machine.id } });
  } catch (error) {
    toastError(`Could not close the displays of ${machine.name}`, error);
  }
}

/** Gives a machine back that is kept for the user who lost it with its hypervisor; their unsaved work goes with it. */
export async function releaseMachine(machine: Machine): Promise<void> {
  const { keptFor, name } = machine;
  if (!keptFor) return;
  const agreed = await confirm({
    title: `Release ${name}?`,
    body:
      `It is kept for ${keptFor.username}, who lost it with its hypervisor. It is returned as its desktop pool's ` +
      "policy says, and work on it that was not saved is lost.",
    confirmText: "Release",
    danger: true,
  });
  if (!agreed) return;
  try {
    const answer = await call("releaseMachine", { params: { id: machine.id } });
    publish({ type: "machine", machine: answer.machine });
  } catch (error) {
    toastError(`Could not release ${name}`, error);
  }
}

/** Every machine that fits a query, up to what one mass action takes. */
export const allMachines = (query: Omit<MachineQuery, "limit" | "offset" | "cursor">): Promise<Machine[]> =>
  readAll((paging) => call("listMachines", { query: { ...query, ...paging } }), 2000);
