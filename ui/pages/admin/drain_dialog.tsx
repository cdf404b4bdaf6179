import { Content, List, ListItem, Radio } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Lease } from "../../../contracts/desktop.ts";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call, fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { plural } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { useLoad } from "../../stores/load.ts";
import { readAll } from "../../stores/pages.ts";
import { saveHypervisor } from "./hypervisor_actions.ts";

const shownNames = 12;

async function sessionsOn(hypervisor: Hypervisor, signal: AbortSignal): Promise<Lease[]> {
  const leases = await readAll((paging) => call("listLeases", { query: paging, signal }));
  return leases.filter(({ hypervisorName }) => hypervisorName === hypervisor.name);
}

/** Empties a hypervisor: asks whether to wait for its users or to end their sessions, and says whom it concerns. */
export function DrainDialog({ hypervisor, onClose }: { hypervisor: Hypervisor; onClose: () => void }) {
  const [mode, setMode] = useState<"wait" | "end">("wait");
  const [minutes, setMinutes] = useState("5");
  const sessions = useLoad(hypervisor.id, (signal) => sessionsOn(hypervisor, signal));
  const drain = useAction(async () => {
    await saveHypervisor(hypervisor, { drain: { mode, countdownSeconds: Math.round(Number(minutes) * 60) } });
    onClose();
  });
  const errors = fieldErrors(drain.error);
  const minutesAreRight = minutes.trim() !== "" && Number(minutes) >= 0 && Number(minutes) <= 24 * 60;
  return (
    <FormDialog
      title={`Drain ${hypervisor.name}`}
      submitText="Drain"
      variant="medium"
      action={drain}
      onSubmit={() => void drain.run()}
      onClose={onClose}
      canSubmit={mode === "wait" || minutesAreRight}
      fields={["drain.countdownSeconds"]}
    >
      <Content component="p">
        No desktop of {hypervisor.name}{" "}
        is given to anybody from now on. Desktops that nobody uses are shut down; what is in use goes on until
        its session ends. It stays in maintenance until you end that.
      </Content>
      <Sessions sessions={sessions.value} failed={Boolean(sessions.error)} />
      <Radio
        id="drain-wait"
        name="drain-mode"
        label="Wait until the users leave"
        description="Nobody is disturbed. It can take until the end of the day."
        isChecked={mode === "wait"}
        onChange={() => setMode("wait")}
      />
      <Radio
        id="drain-end"
        name="drain-mode"
        label="Warn the users, then end their sessions"
        description="They see a countdown and are asked to save their work."
        isChecked={mode === "end"}
        onChange={() => setMode("end")}
      />
      {mode === "end" && (
        <TextField
          id="drain-minutes"
          label="Countdown (minutes)"
          type="number"
          min={0}
          max={24 * 60}
          value={minutes}
          onChange={setMinutes}
          error={errors["drain.countdownSeconds"]}
        />
      )}
    </FormDialog>
  );
}

function Sessions({ sessions, failed }: { sessions: Lease[] | undefined; failed: boolean }) {
  if (failed) return <Content component="p">Who works on it could not be found out now.</Content>;
  if (!sessions) return <Content component="p">Looking who works on it…</Content>;
  if (sessions.length === 0) return <Content component="p">Nobody works on it now.</Content>;
  const more = sessions.length - shownNames;
  return (
    <div>
      <Content component="p">{plural(sessions.length, "session")} on it now:</Content>
      <List className="kv-affected" isPlain>
        {sessions.slice(0, shownNames).map(({ id, username, machine, terminal }) => (
          <ListItem key={id}>
            <b>{username}</b> on {machine?.name ?? "a desktop that is starting"}
            {terminal && <span className="kv-quiet">, from {terminal}</span>}
          </ListItem>
        ))}
        {more > 0 && <ListItem key="more">and {more.toLocaleString("en")} more</ListItem>}
      </List>
    </div>
  );
}
