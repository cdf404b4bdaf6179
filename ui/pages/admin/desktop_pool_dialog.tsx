import { FormSection, Switch } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import { AfterUse, type DesktopPool } from "../../../contracts/desktop_pool.ts";
import { call, fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";
import { canBeSaved, draftOf, policyOf, type PoolDraft, scheduleErrors } from "./desktop_pool_draft.ts";
import { ScheduleEditor } from "./schedule_editor.tsx";

interface Props {
  /** The pool to change; none creates one. */
  pool?: DesktopPool;
  onClose: () => void;
  onSaved: (pool: DesktopPool) => void;
}

interface PartProps {
  draft: PoolDraft;
  set: (patch: Partial<PoolDraft>) => void;
  errors: Record<string, string>;
}

const ownFields = [
  "name",
  "description",
  "policy.afterUse",
  "policy.returnAfterMinutes",
  "policy.spares",
  "policy.dataDisk",
  "policy.dataDisk.bytes",
];

/** Name and policy of a desktop pool. */
export function DesktopPoolDialog({ pool, onClose, onSaved }: Props) {
  const [draft, setDraft] = useState(() => draftOf(pool));
  const save = useAction(async () => {
    const body = { name: draft.name.trim(), description: draft.description, policy: policyOf(draft) };
    const answer = pool
      ? await call("updateDesktopPool", { params: { id: pool.id }, body })
      : await call("createDesktopPool", { body });
    publish({ type: "desktop-pool", desktopPool: answer.desktopPool });
    onSaved(answer.desktopPool);
  });
  const errors = fieldErrors(save.error);
  const parts: PartProps = { draft, set: (patch) => setDraft((old) => ({ ...old, ...patch })), errors };
  return (
    <FormDialog
      title={pool ? `Edit ${pool.name}` : "Create desktop pool"}
      submitText={pool ? "Save" : "Create"}
      variant="medium"
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      canSubmit={canBeSaved(draft)}
      fields={[...ownFields, ...Object.keys(errors).filter((path) => path.startsWith("policy.schedule."))]}
    >
      <NameFields {...parts} />
      <FormSection title="Sessions" titleElement="h2">
        <SessionFields {...parts} />
      </FormSection>
      <FormSection title="Ready before anybody comes" titleElement="h2">
        <TextField
          id="pool-spares"
          label="Warm spares"
          type="number"
          min={0}
          max={500}
          value={draft.spares}
          onChange={(spares) => parts.set({ spares })}
          help="So many free desktops are kept running: whoever comes next does not wait for a start."
          error={errors["policy.spares"]}
        />
        <div role="group" aria-label="Schedule" className="kv-stack">
          <span className="kv-group-label">Schedule, in the dashboard's time zone</span>
          <ScheduleEditor
            entries={draft.schedule}
            onChange={(schedule) => parts.set({ schedule })}
            errors={scheduleErrors(errors)}
          />
          <small className="kv-quiet">
            Once idle ones are shut down, the pool sleeps, its spares too, until the next start or until
            somebody opens a desktop.
          </small>
        </div>
      </FormSection>
      <FormSection title="Personal files" titleElement="h2">
        <DataDiskFields {...parts} />
      </FormSection>
    </FormDialog>
  );
}

function NameFields({ draft, set, errors }: PartProps) {
  return (
    <>
      <TextField
        id="pool-name"
        label="Name"
        required
        value={draft.name}
        onChange={(name) => set({ name })}
        help="What users see, as Office desktop"
        error={errors.name}
      />
      <TextField
        id="pool-description"
        label="Description"
        value={draft.description}
        onChange={(description) => set({ description })}
        error={errors.description}
      />
    </>
  );
}

function SessionFields({ draft, set, errors }: PartProps) {
  return (
    <>
      <SelectField
        id="pool-after-use"
        label="When a session ends, its machine is"
        value={draft.afterUse}
        onChange={(value) => set({ afterUse: AfterUse.parse(value) })}
        options={[
          { value: "keep", label: "left running: the next user starts at once" },
          { value: "shutdown", label: "shut down: saves memory" },
          { value: "reset", label: "reset to the image: nothing stays" },
        ]}
        help="A machine with a virtual snapshot is always reset."
        error={errors["policy.afterUse"]}
      />
      <TextField
        id="pool-minutes"
        label="A session ends after (minutes)"
        type="number"
        min={0}
        value={draft.returnAfterMinutes}
        onChange={(returnAfterMinutes) => set({ returnAfterMinutes })}
        help="So long after the last sign of life from the user's device the desktop is free for others."
        error={errors["policy.returnAfterMinutes"]}
      />
      <Switch
        id="pool-user-power"
        label="Users may reboot and power off their desktop"
        isChecked={draft.userPower}
        onChange={(_, userPower) => set({ userPower })}
      />
    </>
  );
}

function DataDiskFields({ draft, set, errors }: PartProps) {
  return (
    <div className="kv-field-row">
      <SelectField
        id="pool-data-disk"
        label="Data disk"
        value={draft.dataDisk}
        onChange={(value) => set({ dataDisk: value as PoolDraft["dataDisk"] })}
        options={[
          { value: "none", label: "none" },
          { value: "machine", label: "one of each machine" },
          { value: "user", label: "one of each user, on whatever machine" },
        ]}
        help="Survives populate, reset and virtual snapshots."
        error={errors["policy.dataDisk"]}
      />
      {draft.dataDisk !== "none" && (
        <TextField
          id="pool-data-disk-size"
          label="Size of a data disk (GiB)"
          type="number"
          min={1}
          value={draft.dataDiskGiB}
          onChange={(dataDiskGiB) => set({ dataDiskGiB })}
          help="Takes space as it fills."
          error={errors["policy.dataDisk.bytes"]}
        />
      )}
    </div>
  );
}
