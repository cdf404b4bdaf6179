import { Switch } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import { AfterUse, type DesktopPool } from "../../../contracts/desktop_pool.ts";
import { call, fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";

interface Props {
  /** The pool to change; none creates one. */
  pool?: DesktopPool;
  onClose: () => void;
  onSaved: (pool: DesktopPool) => void;
}

/** Name and policy of a desktop pool. */
export function DesktopPoolDialog({ pool, onClose, onSaved }: Props) {
  const [name, setName] = useState(pool?.name ?? "");
  const [description, setDescription] = useState(pool?.description ?? "");
  const [afterUse, setAfterUse] = useState<AfterUse>(pool?.policy.afterUse ?? "keep");
  const [minutes, setMinutes] = useState(String(pool?.policy.returnAfterMinutes ?? 5));
  const [userPower, setUserPower] = useState(pool?.policy.userPower ?? true);
  const save = useAction(async () => {
    const policy = { afterUse, returnAfterMinutes: Number(minutes), userPower };
    const body = { name: name.trim(), description, policy };
    const answer = pool
      ? await call("updateDesktopPool", { params: { id: pool.id }, body })
      : await call("createDesktopPool", { body });
    publish({ type: "desktop-pool", desktopPool: answer.desktopPool });
    onSaved(answer.desktopPool);
  });
  const errors = fieldErrors(save.error);
  return (
    <FormDialog
      title={pool ? `Edit ${pool.name}` : "Create desktop pool"}
      submitText={pool ? "Save" : "Create"}
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      canSubmit={name.trim() !== ""}
      fields={["name", "description", "policy.afterUse", "policy.returnAfterMinutes"]}
    >
      <TextField
        id="pool-name"
        label="Name"
        required
        value={name}
        onChange={setName}
        help="What users see, as Office desktop"
        error={errors.name}
      />
      <TextField
        id="pool-description"
        label="Description"
        value={description}
        onChange={setDescription}
        error={errors.description}
      />
      <SelectField
        id="pool-after-use"
        label="When a session ends, its machine is"
        value={afterUse}
        onChange={(value) => setAfterUse(AfterUse.parse(value))}
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
        value={minutes}
        onChange={setMinutes}
        help="So long after the last sign of life from the user's device the desktop is free for others."
        error={errors["policy.returnAfterMinutes"]}
      />
      <Switch
        id="pool-user-power"
        label="Users may reboot and power off their desktop"
        isChecked={userPower}
        onChange={(_, on) => setUserPower(on)}
      />
    </FormDialog>
  );
}
