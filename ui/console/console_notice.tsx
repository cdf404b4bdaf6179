import { AlertActionLink } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Desktop } from "../../contracts/desktop.ts";
import { DesktopNotice } from "../components/desktop_notice.tsx";
import { useSeconds } from "../stores/seconds.ts";

const lastCallMs = 60_000;

/** Over the desktop: that it is going to be taken away. It can be hidden, and comes back for the last minute. */
export function ConsoleNotice({ notice }: { notice: NonNullable<Desktop["notice"]> }) {
  const [hidden, setHidden] = useState<"" | "early" | "last">("");
  const isLastCall = notice.endsAt - useSeconds(hidden !== "") <= lastCallMs;
  if (hidden === "last" || hidden === "early" && !isLastCall) return null;
  const hide = () => setHidden(notice.endsAt - Date.now() <= lastCallMs ? "last" : "early");
  return (
    <div className="kv-console-notice">
      <DesktopNotice notice={notice} actions={<AlertActionLink onClick={hide}>Hide</AlertActionLink>} />
    </div>
  );
}
