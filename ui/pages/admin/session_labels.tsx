import { Label } from "@patternfly/react-core";
import DisconnectedIcon from "@patternfly/react-icons/dist/esm/icons/disconnected-icon";
import OutlinedClockIcon from "@patternfly/react-icons/dist/esm/icons/outlined-clock-icon";
import type { Lease } from "../../../contracts/desktop.ts";
import { DesktopStateLabel } from "../../components/states.tsx";
import { formatClock, plural } from "../../format.ts";
import { now } from "../../stores/clock.ts";

/** Its hypervisor is out of reach: the user can't work on it, and gets another one when asking. */
export const isLost = ({ state, error, endedAt }: Pick<Lease, "state" | "error" | "endedAt">) =>
  state !== "failed" && endedAt === null && error?.code === "unavailable";

/** How a session stands: its state, that it is lost, that it waits, or that it is about to be ended. */
export function SessionLabels({ lease }: { lease: Lease }) {
  const { state, notice, queued } = lease;
  return (
    <span className="kv-labels">
      {isLost(lease)
        ? (
          <Label isCompact color="red" icon={<DisconnectedIcon />} title={lease.error?.message}>
            Lost: host offline
          </Label>
        )
        : <DesktopStateLabel state={state} />}
      {queued !== null && state === "preparing" && (
        <Label isCompact color="grey" icon={<OutlinedClockIcon />}>
          {queued === 0 ? "next to start" : `${plural(queued, "start")} before it`}
        </Label>
      )}
      {notice && (
        <Label isCompact color="orange" icon={<OutlinedClockIcon />} title={notice.message}>
          ends at {formatClock(notice.endsAt, now.value)}
        </Label>
      )}
    </span>
  );
}
