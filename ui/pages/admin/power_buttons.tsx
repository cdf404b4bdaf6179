import { Button } from "@patternfly/react-core";
import OffIcon from "@patternfly/react-icons/dist/esm/icons/off-icon";
import PlayIcon from "@patternfly/react-icons/dist/esm/icons/play-icon";
import type { Machine, PowerAction } from "../../../contracts/machine.ts";
import { pendingText } from "../../components/states.tsx";
import { useAction } from "../../stores/action.ts";
import { allowedPower, powerMachine, powerTexts } from "../../stores/machine_actions.ts";

const shown: PowerAction[] = ["start", "resume", "shutdown", "reboot"];

/** The power actions that matter now; the one that is under way shows as such. */
export function PowerButtons({ machine }: { machine: Machine }) {
  const act = useAction((action: PowerAction) => powerMachine(machine, action));
  if (machine.pendingAction) {
    return (
      <>
        <Button variant="secondary" isLoading isDisabled>{pendingText(machine.pendingAction)}</Button>
        {machine.pendingAction !== "destroy" && allowedPower(machine).includes("destroy") && (
          <Button
            variant="secondary"
            isDanger
            isDisabled={act.busy}
            onClick={() => void act.run("destroy")}
          >
            Power off
          </Button>
        )}
      </>
    );
  }
  return (
    <>
      {allowedPower(machine).filter((action) => shown.includes(action)).map((action) => (
        <Button
          key={action}
          variant={action === "start" || action === "resume" ? "primary" : "secondary"}
          icon={action === "start" || action === "resume"
            ? <PlayIcon />
            : action === "shutdown"
            ? <OffIcon />
            : undefined}
          isDisabled={act.busy}
          onClick={() => void act.run(action)}
        >
          {powerTexts[action]}
        </Button>
      ))}
    </>
  );
}
