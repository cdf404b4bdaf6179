import { useEffect, useState } from "preact/hooks";
import type { Machine } from "../../contracts/machine.ts";
import { screenshotUrl } from "../stores/machine_actions.ts";

interface Props {
  machine: Pick<Machine, "id" | "name" | "state">;
  refreshMs?: number;
  className?: string;
}

/** The machine's screen as a picture, taken again every so often while it can be seen. */
export function Thumbnail({ machine, refreshMs = 10_000, className = "kv-thumbnail" }: Props) {
  const [round, setRound] = useState(0);
  const [failed, setFailed] = useState(false);
  const running = machine.state === "running";
  useEffect(() => {
    if (!running) return;
    setFailed(false);
    const timer = setInterval(() => {
      if (document.visibilityState !== "visible") return;
      setFailed(false);
      setRound((count) => count + 1);
    }, refreshMs);
    return () => clearInterval(timer);
  }, [running, refreshMs]);
  if (!running || failed) {
    return (
      <div className={`${className} kv-no-picture`}>
        {running ? "No picture yet" : machine.state === "shut-off" ? "Shut off" : "No picture"}
      </div>
    );
  }
  return (
    <img
      className={className}
      loading="lazy"
      src={screenshotUrl(machine, round)}
      alt={`Screen of ${machine.name}`}
      onError={() => setFailed(true)}
    />
  );
}
