import { Label } from "@patternfly/react-core";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon";
import HistoryIcon from "@patternfly/react-icons/dist/esm/icons/history-icon";
import InProgressIcon from "@patternfly/react-icons/dist/esm/icons/in-progress-icon";
import LockIcon from "@patternfly/react-icons/dist/esm/icons/lock-icon";
import PencilAltIcon from "@patternfly/react-icons/dist/esm/icons/pencil-alt-icon";
import type { VersionCopy } from "../../../contracts/image.ts";
import type { VersionStanding } from "./image_words.ts";
import { type Look, StateLabel } from "../../components/states.tsx";

const standings: Record<VersionStanding, Look & { help: string }> = {
  copying: { text: "Being copied", color: "blue", icon: InProgressIcon, help: "not whole yet" },
  failed: { text: "Copy failed", color: "red", icon: ExclamationCircleIcon, help: "can be deleted" },
  draft: {
    text: "Draft",
    color: "purple",
    icon: PencilAltIcon,
    help: "the initial boots from it and may change it; seal it when it is as it should be",
  },
  sealed: { text: "Sealed", color: "teal", icon: LockIcon, help: "final and not published yet" },
  current: { text: "Current", color: "green", icon: CheckCircleIcon, help: "desktops are made on it" },
  old: { text: "Old", color: "grey", icon: HistoryIcon, help: "can be published again to roll back" },
};

export const VersionLabel = ({ standing }: { standing: VersionStanding }) => (
  <StateLabel look={standings[standing]} title={standings[standing].help} />
);

const copies: Record<VersionCopy["state"], Look> = {
  present: { text: "present", color: "green", icon: CheckCircleIcon },
  copying: { text: "copying", color: "blue", icon: InProgressIcon },
  missing: { text: "missing", color: "orange", icon: ExclamationTriangleIcon },
  failed: { text: "failed", color: "red", icon: ExclamationCircleIcon },
};

/** A version's file on one hypervisor: where, and whether it is there. */
export function CopyLabel({ copy }: { copy: VersionCopy }) {
  const { icon: Icon, color, text } = copies[copy.state];
  const desktops = copy.machineCount ? ` (${copy.machineCount.toLocaleString("en")})` : "";
  return (
    <Label
      isCompact
      variant="outline"
      color={color}
      icon={<Icon />}
      title={copy.error ?? `${copy.path}: ${text}; desktops on it: ${copy.machineCount}`}
    >
      {copy.state === "present" ? copy.hypervisorName + desktops : `${copy.hypervisorName}: ${text}`}
    </Label>
  );
}
