import { Label } from "@patternfly/react-core";
import ArrowCircleDownIcon from "@patternfly/react-icons/dist/esm/icons/arrow-circle-down-icon";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import OutlinedClockIcon from "@patternfly/react-icons/dist/esm/icons/outlined-clock-icon";
import WrenchIcon from "@patternfly/react-icons/dist/esm/icons/wrench-icon";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { HypervisorStateLabel } from "../../components/states.tsx";
import { plural } from "../../format.ts";
import { isDrained } from "./hypervisor_words.ts";

/** Everything about a hypervisor's state, as icons with words. */
export function HypervisorLabels({ hypervisor }: { hypervisor: Hypervisor }) {
  const { maintenance, drain, agentOutdated } = hypervisor;
  return (
    <span className="kv-labels">
      <HypervisorStateLabel hypervisor={hypervisor} />
      {maintenance && !drain && (
        <Label isCompact color="orange" icon={<WrenchIcon />} title="Its machines are not given to users">
          Maintenance
        </Label>
      )}
      {drain && (isDrained(drain)
        ? <Label isCompact color="teal" icon={<CheckCircleIcon />}>Drained</Label>
        : (
          <Label isCompact color="orange" icon={<OutlinedClockIcon />}>
            Draining: {plural(drain.sessionsLeft, "session")} left
          </Label>
        ))}
      {agentOutdated && (
        <Label
          isCompact
          color="yellow"
          icon={<ArrowCircleDownIcon />}
          title="Its agent is not the same program as this dashboard"
        >
          Agent out of date
        </Label>
      )}
    </span>
  );
}
