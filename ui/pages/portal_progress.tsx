import { Progress, ProgressStep, ProgressStepper } from "@patternfly/react-core";
import type { Desktop } from "../../contracts/desktop.ts";
import { formatDuration } from "../format.ts";
import { useSeconds } from "../stores/seconds.ts";
import { queueWords, stepsOf } from "./portal_words.ts";

const variants = { done: "success", current: "info", pending: "pending" } as const;

/** A desktop on its way: the steps, the one that runs, and for how long it has been going on. */
export function DesktopProgress({ desktop, compact = false }: { desktop: Desktop; compact?: boolean }) {
  const { steps, done } = stepsOf(desktop);
  const current = steps.find(({ state }) => state === "current");
  return (
    <div className="kv-stack">
      <Progress
        aria-label={`Starting ${desktop.desktopPoolName}`}
        value={done}
        max={steps.length}
        title={current?.title ?? "Ready"}
        label={`step ${Math.min(done + 1, steps.length)} of ${steps.length}`}
        valueText={current?.title ?? "Ready"}
        size="sm"
      />
      {!compact && (
        <ProgressStepper isVertical aria-label="Steps">
          {steps.map(({ stage, title, state }) => (
            <ProgressStep
              key={stage}
              id={`step-${stage}`}
              titleId={`step-${stage}-title`}
              variant={variants[state]}
              isCurrent={state === "current"}
              aria-label={`${title}: ${state}`}
            >
              {title}
            </ProgressStep>
          ))}
        </ProgressStepper>
      )}
      {!compact && desktop.queued !== null && <p role="status">{queueWords(desktop.queued)}</p>}
      <Elapsed since={desktop.startedAt} />
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const now = useSeconds(true);
  return <small className="kv-elapsed">{formatDuration(Math.max(0, now - since))} so far</small>;
}
