import { Alert, Switch } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import { type Machine, OsType, type UpdateMachine, VideoModel } from "../../../contracts/machine.ts";
import { call, fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";
import { toast } from "../../stores/toasts.ts";
import { isoOptions, networkOptions, useImageFiles } from "./machine_form_parts.ts";

/** The fields of the form as typed; numbers stay text until they are sent. */
function draftOf(machine: Machine) {
  const { name, network, video, osType, maintenance, locked, virtualSnapshot, notes } = machine;
  return {
    name,
    network,
    video,
    osType,
    maintenance,
    locked,
    virtualSnapshot,
    notes,
    vcpus: String(machine.vcpus),
    memoryMiB: String(machine.memoryMiB),
    iso: machine.iso ?? "",
  };
}
type Draft = ReturnType<typeof draftOf>;

/** Only what was changed, in the API's shape. */
export function changesOf(machine: Machine, draft: Draft): UpdateMachine {
  const wanted = {
    ...draft,
    vcpus: Number(draft.vcpus),
    memoryMiB: Number(draft.memoryMiB),
    iso: draft.iso === "" ? null : draft.iso,
  };
  const entries = Object.entries(wanted).filter(([key, value]) =>
    machine[key as keyof typeof wanted] !== value
  );
  return Object.fromEntries(entries) as UpdateMachine;
}

export function MachineEditDialog({ machine, onClose }: { machine: Machine; onClose: () => void }) {
  const [draft, setDraft] = useState(() => draftOf(machine));
  const files = useImageFiles(machine.hypervisorId);
  const set = (patch: Partial<Draft>) => setDraft((old) => ({ ...old, ...patch }));
  const changes = changesOf(machine, draft);
  const save = useAction(async () => {
    const answer = await call("updateMachine", { params: { id: machine.id }, body: changes });
    publish({ type: "machine", machine: answer.machine });
    toast({ variant: "success", title: `${machine.name} changed` });
    onClose();
  });
  const errors = fieldErrors(save.error);
  const off = machine.state === "shut-off" || machine.state === "crashed";
  return (
    <FormDialog
      title={`Edit ${machine.name}`}
      submitText="Save"
      variant="medium"
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      canSubmit={Object.keys(changes).length > 0}
      fields={Object.keys(draft)}
    >
      {!off && (
        <Alert
          variant="info"
          isInline
          isPlain
          component="p"
          title="Shut the machine off to change name, CPU, memory, network or video"
        />
      )}
      <TextField
        id="edit-name"
        label="Name"
        required
        disabled={!off}
        value={draft.name}
        onChange={(name) => set({ name })}
        error={errors.name}
      />
      <div className="kv-field-row">
        <TextField
          id="edit-vcpus"
          label="vCPUs"
          type="number"
          min={1}
          max={256}
          disabled={!off}
          value={draft.vcpus}
          onChange={(vcpus) => set({ vcpus })}
          error={errors.vcpus}
        />
        <TextField
          id="edit-memory"
          label="Memory (MiB)"
          type="number"
          min={64}
          disabled={!off}
          value={draft.memoryMiB}
          onChange={(memoryMiB) => set({ memoryMiB })}
          error={errors.memoryMiB}
        />
      </div>
      <div className="kv-field-row">
        <SelectField
          id="edit-network"
          label="Network"
          disabled={!off}
          value={draft.network}
          onChange={(network) => set({ network })}
          options={networkOptions(machine.hypervisorId, draft.network)}
          error={errors.network}
        />
        <SelectField
          id="edit-video"
          label="Video"
          disabled={!off}
          value={draft.video}
          onChange={(video) => set({ video: VideoModel.parse(video) })}
          options={[{ value: "qxl", label: "QXL (best for SPICE)" }, { value: "virtio", label: "virtio" }]}
          error={errors.video}
        />
        <SelectField
          id="edit-os"
          label="System"
          disabled={!off}
          value={draft.osType}
          onChange={(osType) => set({ osType: OsType.parse(osType) })}
          options={[{ value: "linux", label: "Linux" }, { value: "windows", label: "Windows" }]}
          error={errors.osType}
        />
      </div>
      <SelectField
        id="edit-iso"
        label="ISO image"
        value={draft.iso}
        onChange={(iso) => set({ iso })}
        options={isoOptions(files, draft.iso)}
        help="Can be attached and ejected while the machine runs"
        error={errors.iso}
      />
      <Switch
        id="edit-maintenance"
        label="Maintenance: not given to users"
        isChecked={draft.maintenance}
        onChange={(_, maintenance) => set({ maintenance })}
      />
      <Switch
        id="edit-snapshot"
        label="Virtual snapshot: what is written is dropped at power off; from the next start"
        isChecked={draft.virtualSnapshot}
        onChange={(_, virtualSnapshot) => set({ virtualSnapshot })}
      />
      <Switch
        id="edit-locked"
        label="Locked: not given to users, not deletable"
        isChecked={draft.locked}
        onChange={(_, locked) => set({ locked })}
      />
      <TextField
        id="edit-notes"
        label="Notes"
        lines={3}
        value={draft.notes}
        onChange={(notes) => set({ notes })}
        error={errors.notes}
      />
    </FormDialog>
  );
}
