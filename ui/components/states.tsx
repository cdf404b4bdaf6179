import { Label } from "@patternfly/react-core";
import BanIcon from "@patternfly/react-icons/dist/esm/icons/ban-icon";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon";
import InProgressIcon from "@patternfly/react-icons/dist/esm/icons/in-progress-icon";
import LockIcon from "@patternfly/react-icons/dist/esm/icons/lock-icon";
import OffIcon from "@patternfly/react-icons/dist/esm/icons/off-icon";
import PauseCircleIcon from "@patternfly/react-icons/dist/esm/icons/pause-circle-icon";
import PlayCircleIcon from "@patternfly/react-icons/dist/esm/icons/play-circle-icon";
import QuestionCircleIcon from "@patternfly/react-icons/dist/esm/icons/question-circle-icon";
import UserIcon from "@patternfly/react-icons/dist/esm/icons/user-icon";
import WrenchIcon from "@patternfly/react-icons/dist/esm/icons/wrench-icon";
import type { ComponentType } from "react";
import type { DesktopState } from "../../contracts/desktop.ts";
import type { Hypervisor } from "../../contracts/hypervisor.ts";
import type { JobState } from "../../contracts/job.ts";
import type { Machine, MachineState, Role } from "../../contracts/machine.ts";

import { formatExact } from "../format.ts";

type Color = "green" | "red" | "blue" | "grey" | "orange" | "purple" | "teal" | "yellow";
export interface Look {
  text: string;
  color: Color;
  icon: ComponentType;
}

const machineLooks: Record<MachineState, Look> = {
  running: { text: "Running", color: "green", icon: PlayCircleIcon },
  "shut-off": { text: "Shut off", color: "grey", icon: OffIcon },
  paused: { text: "Paused", color: "orange", icon: PauseCircleIcon },
  suspended: { text: "Suspended", color: "orange", icon: PauseCircleIcon },
  crashed: { text: "Crashed", color: "red", icon: ExclamationCircleIcon },
  unknown: { text: "Unknown", color: "yellow", icon: QuestionCircleIcon },
};
const pendingTexts: Record<string, string> = {
  start: "Starting",
  shutdown: "Shutting down",
  reboot: "Rebooting",
  destroy: "Powering off",
  suspend: "Suspending",
  resume: "Resuming",
};
const hypervisorLooks: Record<Hypervisor["state"], Look> = {
  online: { text: "Online", color: "green", icon: CheckCircleIcon },
  degraded: { text: "Degraded", color: "orange", icon: ExclamationTriangleIcon },
  offline: { text: "Offline", color: "red", icon: ExclamationCircleIcon },
};
const jobLooks: Record<JobState, Look> = {
  queued: { text: "Waiting", color: "grey", icon: InProgressIcon },
  running: { text: "Running", color: "blue", icon: InProgressIcon },
  succeeded: { text: "Succeeded", color: "green", icon: CheckCircleIcon },
  failed: { text: "Failed", color: "red", icon: ExclamationCircleIcon },
  cancelled: { text: "Cancelled", color: "grey", icon: BanIcon },
  interrupted: { text: "Interrupted", color: "orange", icon: ExclamationTriangleIcon },
};
const desktopLooks: Record<DesktopState, Look> = {
  preparing: { text: "Starting", color: "blue", icon: InProgressIcon },
  ready: { text: "In use", color: "green", icon: UserIcon },
  failed: { text: "Failed", color: "red", icon: ExclamationCircleIcon },
  ended: { text: "Ended", color: "grey", icon: OffIcon },
};

export const machineStateText = (state: MachineState) => machineLooks[state].text;
export const jobStateText = (state: JobState) => jobLooks[state].text;
export const pendingText = (action: string) => pendingTexts[action] ?? action;

export function StateLabel({ look, title }: { look: Look; title?: string | undefined }) {
  const Icon = look.icon;
  return <Label isCompact color={look.color} icon={<Icon />} title={title}>{look.text}</Label>;
}

/** State of a machine, or the power action that is under way. Icon and word: never colour alone. */
export function MachineStateLabel(
  { machine }: { machine: Pick<Machine, "state" | "stateReason" | "pendingAction"> },
) {
  if (machine.pendingAction) {
    return (
      <StateLabel look={{ text: pendingText(machine.pendingAction), color: "blue", icon: InProgressIcon }} />
    );
  }
  return <StateLabel look={machineLooks[machine.state]} title={machine.stateReason ?? undefined} />;
}

export const HypervisorStateLabel = (
  { hypervisor }: { hypervisor: Pick<Hypervisor, "state" | "stateReason"> },
) => <StateLabel look={hypervisorLooks[hypervisor.state]} title={hypervisor.stateReason ?? undefined} />;
export const JobStateLabel = ({ state }: { state: JobState }) => <StateLabel look={jobLooks[state]} />;
export const DesktopStateLabel = ({ state }: { state: DesktopState }) => (
  <StateLabel look={desktopLooks[state]} />
);

const roleColors: Record<Role, Color> = { simple: "grey", source: "purple", initial: "teal", vdi: "blue" };
export const roleTexts: Record<Role, string> = {
  simple: "Simple",
  source: "Source",
  initial: "Initial",
  vdi: "VDI",
};
export const roleHelp: Record<Role, string> = {
  simple: "A machine of its own, not part of VDI: a server, a test.",
  source: "Where you install and update the operating system for many desktops.",
  initial: "The golden image: a copy of a source's disk. Desktops are linked clones of it.",
  vdi: "A desktop for users: a linked clone of an initial, made in a second.",
};

export const RoleLabel = ({ role }: { role: Role }) => (
  <Label isCompact variant="outline" color={roleColors[role]}>{roleTexts[role]}</Label>
);

/** What else is special about a machine, as small labels. */
export function MachineFlags({ machine }: { machine: Machine }) {
  return (
    <>
      {machine.maintenance && (
        <Label isCompact color="orange" icon={<WrenchIcon />} title="Not given to users">Maintenance</Label>
      )}
      {machine.locked && <Label isCompact color="orange" icon={<LockIcon />}>Locked</Label>}
      {machine.virtualSnapshot && (
        <Label isCompact color="teal" title="What is written is dropped at power off">Virtual snapshot</Label>
      )}
      {machine.role === "vdi" && machine.populatedAt === null && (
        <Label isCompact color="yellow" title="It has no disk yet: populate it">Not populated</Label>
      )}
      {machine.outdated && (
        <Label
          isCompact
          color="yellow"
          title={machine.lease
            ? "Its disk is on another version than the current one; it moves when its user leaves"
            : "Its disk is on another version than the current one: publish again or populate it"}
        >
          {machine.imageVersion ? `On version ${machine.imageVersion.number}` : "Outdated"}
        </Label>
      )}
      {machine.keptFor && (
        <Label
          isCompact
          color="purple"
          icon={<UserIcon />}
          title={`Kept until ${
            formatExact(machine.keptFor.until)
          }: their hypervisor was lost while they worked on it`}
        >
          Kept for {machine.keptFor.username}
        </Label>
      )}
      {machine.queuedStart !== null && (
        <Label
          isCompact
          color="blue"
          icon={<InProgressIcon />}
          title="Its hypervisor starts few machines at once"
        >
          Place {machine.queuedStart} in the queue of starts
        </Label>
      )}
    </>
  );
}
