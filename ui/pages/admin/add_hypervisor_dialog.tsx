import { useState } from "preact/hooks";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call, fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";

interface Props {
  onClose: () => void;
  onAdded: (hypervisor: Hypervisor) => void;
}

/** Adds a hypervisor whose agent listens on a unix socket of the dashboard's host. */
export function AddHypervisorDialog({ onClose, onAdded }: Props) {
  const [name, setName] = useState("");
  const [socketPath, setSocketPath] = useState("/run/kvm-vdi/agent.sock");
  const add = useAction(async () => {
    const body = { name: name.trim(), socketPath: socketPath.trim() };
    const { hypervisor } = await call("createHypervisor", { body });
    publish({ type: "hypervisor", hypervisor });
    onAdded(hypervisor);
  });
  const errors = fieldErrors(add.error);
  return (
    <FormDialog
      title="Add hypervisor"
      submitText="Add"
      action={add}
      onSubmit={() => void add.run()}
      onClose={onClose}
      canSubmit={name.trim() !== "" && socketPath.trim() !== ""}
      fields={["name", "socketPath"]}
    >
      <TextField
        id="hypervisor-name"
        label="Name"
        required
        value={name}
        onChange={setName}
        error={errors.name}
      />
      <TextField
        id="socket-path"
        label="Socket of its agent"
        required
        value={socketPath}
        onChange={setSocketPath}
        help="Where kvm-vdi agent listens on this host"
        error={errors.socketPath}
      />
    </FormDialog>
  );
}
