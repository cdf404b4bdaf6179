import { Alert } from "@patternfly/react-core";
import type { ReactNode } from "react";
import type { Desktop } from "../../contracts/desktop.ts";
import { formatClock, formatCountdown } from "../format.ts";
import { useSeconds } from "../stores/seconds.ts";

type Notice = NonNullable<Desktop["notice"]>;

/** "Your session ends at 14:05: save your work", why, and how long that is from now. */
export function DesktopNotice({ notice, actions }: { notice: Notice; actions?: ReactNode }) {
  const now = useSeconds(true);
  const left = notice.endsAt - now;
  return (
    <Alert
      isInline
      isLiveRegion
      component="p"
      variant={left < 60_000 ? "danger" : "warning"}
      className="kv-notice"
      title={`Your session ends at ${formatClock(notice.endsAt, now)}: save your work`}
      actionLinks={actions}
    >
      <span className="kv-notice-left" aria-hidden="true">
        {left > 0 ? formatCountdown(left) : "now"}
      </span>
      <span>{notice.message}</span>
    </Alert>
  );
}

/** The same in few words, for the console's bar. */
export function NoticeChip({ notice }: { notice: Notice }) {
  const now = useSeconds(true);
  const left = notice.endsAt - now;
  return (
    <span
      className="kv-notice-chip"
      title={notice.message}
      role="timer"
      aria-label="Time until your session ends"
    >
      {left > 0 ? `Ends in ${formatCountdown(left)}` : "Ends now"}
    </span>
  );
}
