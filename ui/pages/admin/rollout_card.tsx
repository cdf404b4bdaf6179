import { Button, Card, CardBody, CardHeader, CardTitle, Progress } from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import type { Image, Rollout } from "../../../contracts/image.ts";
import { ActionButton } from "../../components/action_button.tsx";
import { Time } from "../../components/time.tsx";
import { formatDuration, percentOf, plural } from "../../format.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";
import { cancelRollout, moveNow } from "./image_actions.ts";

const shownAtFirst = 10;

/** How far the desktops have come to a published version, who is still on another one, and why. */
export function RolloutCard({ image, rollout }: { image: Image; rollout: Rollout }) {
  const [all, setAll] = useState(false);
  const { waiting } = rollout;
  const number = image.versions.find((one) => one.id === rollout.versionId)?.number;
  const rows = all ? waiting : waiting.slice(0, shownAtFirst);
  const stuck = useStuck(image, rollout);
  return (
    <Card>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: (
            <div className="kv-actions">
              {stuck.size > 0 && (
                <ActionButton
                  variant="secondary"
                  size="sm"
                  onAction={() => moveNow(image, [...stuck])}
                >
                  Try {plural(stuck.size, "idle desktop")} again
                </ActionButton>
              )}
              <ActionButton variant="secondary" size="sm" isDanger onAction={() => cancelRollout(image)}>
                Stop the rollout
              </ActionButton>
            </div>
          ),
        }}
      >
        <CardTitle component="h2">Rollout of version {number}</CardTitle>
      </CardHeader>
      <CardBody>
        <div className="kv-stack">
          <RolloutProgress rollout={rollout} />
          {waiting.length > 0 && (
            <div>
              <h3 className="kv-subhead">Still on another version</h3>
              <ul className="kv-waiting-list">
                {rows.map((one) => (
                  <li key={one.machineId}>
                    <a href={`/machines/${one.machineId}`}>{one.name}</a>
                    <span>{one.reason}</span>
                    {stuck.has(one.machineId) && (
                      <ActionButton
                        variant="link"
                        size="sm"
                        label={`Try again: ${one.name}`}
                        onAction={() => moveNow(image, [one.machineId])}
                      >
                        Try again
                      </ActionButton>
                    )}
                  </li>
                ))}
              </ul>
              {waiting.length > rows.length && (
                <Button variant="link" isInline onClick={() => setAll(true)}>
                  Show all {waiting.length.toLocaleString("en")}
                </Button>
              )}
            </div>
          )}
        </div>
      </CardBody>
    </Card>
  );
}

/** Desktops that could move and have not: nobody uses them and they are off, so something went wrong with them. */
function useStuck(image: Image, rollout: Rollout): ReadonlySet<string> {
  const clones = useLoad(
    `waiting ${rollout.versionId} ${rollout.waiting.length}`,
    () => allMachines({ sourceId: image.id, role: "vdi" }),
  );
  useEvents((event) => {
    if (event.type === "machine" && event.machine.sourceId === image.id) {
      clones.change((items) => replaceById(items, event.machine));
    }
  });
  const waiting = new Set(rollout.waiting.map((one) => one.machineId));
  const idle = clones.value?.filter((one) =>
    waiting.has(one.id) && one.lease === null && one.jobId === null &&
    (one.state === "shut-off" || one.state === "crashed")
  );
  return new Set(idle?.map((one) => one.id));
}

/** The bar alone, for lists. */
export function RolloutProgress({ rollout }: { rollout: Rollout }) {
  const { moved, total, waiting } = rollout;
  return (
    <Progress
      id={`rollout-${rollout.versionId}`}
      size="sm"
      title={rollout.mode === "now" ? "All desktops move now" : "Desktops move as their users leave"}
      value={percentOf(moved, total)}
      label={`${moved.toLocaleString("en")} of ${total.toLocaleString("en")}`}
      helperText={
        <span>
          started <Time at={rollout.startedAt} />, {plural(waiting.length, "desktop")} left
          {rollout.endsSessionsAt !== null && <Countdown endsAt={rollout.endsSessionsAt} />}
        </span>
      }
    />
  );
}

/** Until sessions are ended, to the second. */
function Countdown({ endsAt }: { endsAt: number }) {
  const [left, setLeft] = useState(endsAt - Date.now());
  useEffect(() => {
    const timer = setInterval(() => setLeft(endsAt - Date.now()), 1000);
    return () => clearInterval(timer);
  }, [endsAt]);
  if (left <= 0) return <>, sessions are being ended</>;
  return <>, sessions end in {formatDuration(left)}</>;
}
