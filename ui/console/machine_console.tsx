import { Button } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Machine } from "../../contracts/machine.ts";
import { call } from "../api.ts";
import { plural } from "../format.ts";
import { useAction } from "../stores/action.ts";
import { navigate } from "../router.ts";
import { ConsoleCard } from "./console_card.tsx";
import { ConsoleScreen } from "./console_screen.tsx";

/** The console of any machine, for staff. Asks before it takes the screen from somebody. */
export function MachineConsole({ machine }: { machine: Machine }) {
  const [agreed, setAgreed] = useState(machine.viewers === 0 && machine.lease === null);
  const start = useAction(
    () => call("powerMachine", { params: { id: machine.id }, body: { action: "start" } }),
    `Could not start ${machine.name}`,
  );
  const leave = () => navigate(`/machines/${machine.id}`);
  if (!agreed) return <TakeOver machine={machine} onAgree={() => setAgreed(true)} onLeave={leave} />;
  const isOff = machine.state === "shut-off" || machine.state === "crashed";
  return (
    <ConsoleScreen
      kind="machine"
      id={machine.id}
      title={machine.name}
      ready={!isOff}
      onLeave={leave}
      notReady={
        <ConsoleCard
          title={`${machine.name} is switched off`}
          text={machine.pendingAction === "start"
            ? "It is being started."
            : "Its screen appears here as soon as it runs."}
        >
          <Button
            isLoading={start.busy || machine.pendingAction === "start"}
            onClick={() => void start.run()}
          >
            Start {machine.name}
          </Button>
          <Button variant="link" onClick={leave}>Back to the machine</Button>
        </ConsoleCard>
      }
    />
  );
}

interface TakeOverProps {
  machine: Machine;
  onAgree: () => void;
  onLeave: () => void;
}

function TakeOver({ machine, onAgree, onLeave }: TakeOverProps) {
  const { lease, viewers, name } = machine;
  const who = lease ? `${lease.username} uses ${name}` : `${name} has ${plural(viewers, "open connection")}`;
  return (
    <div className="kv-console">
      <ConsoleCard
        title={`${who} now`}
        text="A screen is shown to one viewer at a time. Opening it here takes it away there, with a message that says so; nothing on the machine is closed."
      >
        <Button variant="warning" onClick={onAgree}>Take the screen over</Button>
        <Button variant="link" onClick={onLeave}>Back to the machine</Button>
      </ConsoleCard>
    </div>
  );
}
