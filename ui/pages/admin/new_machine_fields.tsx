import { Button, FormSection, Radio, Switch } from "@patternfly/react-core";
import { type Machine, OsType, Role, VideoModel } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { Field, SelectField, TextField } from "../../components/field.tsx";
import { roleHelp, roleTexts } from "../../components/states.tsx";
import { openUpload } from "../../components/upload_dialog.tsx";
import { formatMiB, previewNames } from "../../format.ts";
import { useLoad } from "../../stores/load.ts";
import { hypervisors } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { fileOption, isoOptions, networkOptions, useImageFiles } from "./machine_form_parts.ts";
import { type DiskChoice, hasOwnDisk, type NewMachine } from "./new_machine.ts";

interface Props {
  form: NewMachine;
  set: (patch: Partial<NewMachine>) => void;
  errors: Record<string, string>;
  parents: Machine[];
}

const roleOrder: Role[] = ["source", "initial", "vdi", "simple"];

export function RoleField({ form, set }: Props) {
  return (
    <Field id="role" label="What is it for?">
      <div className="kv-role-choices" role="radiogroup" aria-label="Role">
        {roleOrder.map((role) => (
          <Radio
            key={role}
            id={`role-${role}`}
            name="role"
            label={roleTexts[role]}
            description={roleHelp[role]}
            isChecked={form.role === role}
            onChange={() => set({ role: Role.parse(role), sourceId: "", name: "" })}
          />
        ))}
      </div>
    </Field>
  );
}

/** Where the disk comes from: a source or initial, or for a machine of its own a file. */
export function OriginFields(props: Props) {
  const { form, set, errors, parents } = props;
  if (hasOwnDisk(form.role)) return <OwnDiskFields {...props} />;
  const initial = form.role === "initial";
  return (
    <SelectField
      id="sourceId"
      label={initial ? "Source" : "Initial"}
      required
      value={form.sourceId}
      onChange={(sourceId) => set({ sourceId })}
      options={[
        { value: "", label: initial ? "Choose a source" : "Choose an initial" },
        ...parents.map((one) => ({ value: one.id, label: one.name })),
      ]}
      help={initial
        ? "Its disk is copied; it must be shut off meanwhile."
        : "Its image is shared by all clones."}
      error={errors.sourceId}
    />
  );
}

const diskChoices: { value: DiskChoice; label: string }[] = [
  { value: "blank", label: "A new, empty disk" },
  { value: "import", label: "A copy of an image on the hypervisor" },
  { value: "domain", label: "An existing libvirt domain, as it is" },
];

function OwnDiskFields(props: Props) {
  const { form, set, errors } = props;
  const files = useImageFiles(form.hypervisorId);
  return (
    <>
      <HypervisorField {...props} />
      <SelectField
        id="disk"
        label="Disk"
        value={form.disk}
        onChange={(value) => set({ disk: diskChoices.find((one) => one.value === value)?.value ?? "blank" })}
        options={diskChoices}
        error={errors.disk}
      />
      {form.disk === "blank" && (
        <TextField
          id="diskGiB"
          label="Disk size (GiB)"
          type="number"
          min={1}
          required
          value={form.diskGiB}
          onChange={(diskGiB) => set({ diskGiB })}
          error={errors["disk.bytes"]}
        />
      )}
      {form.disk === "import" && (
        <SelectField
          id="importPath"
          label="Image"
          required
          value={form.importPath}
          onChange={(importPath) => set({ importPath })}
          options={[
            { value: "", label: "Choose an image" },
            ...files.filter((file) => file.kind === "disk").map(fileOption),
          ]}
          help={
            <>
              Images in the hypervisor's image folder; the file itself is not changed.{" "}
              <UploadLink
                hypervisorId={form.hypervisorId}
                accept=".qcow2,.raw,.img,.vmdk,.vdi,.vhdx"
                onDone={(importPath) => set({ importPath })}
              />
            </>
          }
          error={errors["disk.path"]}
        />
      )}
      {form.disk === "domain" && <DomainField {...props} />}
      {form.disk !== "domain" && (
        <SelectField
          id="iso"
          label="ISO image"
          value={form.iso}
          onChange={(iso) => set({ iso })}
          options={isoOptions(files, form.iso)}
          help={
            <>
              To install from.{" "}
              <UploadLink hypervisorId={form.hypervisorId} accept=".iso" onDone={(iso) => set({ iso })} />
            </>
          }
          error={errors.iso}
        />
      )}
    </>
  );
}

/** "Upload…" beside a choice of files; the uploaded one is chosen then. */
function UploadLink(props: { hypervisorId: string; accept: string; onDone: (path: string) => void }) {
  if (!isAdmin.value || !props.hypervisorId) return null;
  const { hypervisorId, accept } = props;
  return (
    <Button
      variant="link"
      isInline
      onClick={() =>
        openUpload({ hypervisorId, accept, onDone: (upload) => upload.path && props.onDone(upload.path) })}
    >
      Upload…
    </Button>
  );
}

function DomainField({ form, set, errors }: Props) {
  const loaded = useLoad(`domains ${form.hypervisorId}`, async (signal) => {
    if (!form.hypervisorId) return [];
    return (await call("listImportableDomains", { params: { id: form.hypervisorId }, signal })).items;
  });
  const domains = loaded.value ?? [];
  return (
    <SelectField
      id="domainId"
      label="Domain"
      required
      value={form.domainId}
      onChange={(domainId) =>
        set({ domainId, name: domains.find((one) => one.id === domainId)?.name ?? form.name })}
      options={[
        {
          value: "",
          label: domains.length ? "Choose a domain" : "There is no domain that is not managed yet",
        },
        ...domains.map((one) => ({
          value: one.id,
          label: `${one.name} (${one.state}, ${formatMiB(one.memoryMiB)})`,
        })),
      ]}
      error={errors["disk.domainId"]}
    />
  );
}

function HypervisorField({ form, set, errors }: Props) {
  return (
    <SelectField
      id="hypervisorId"
      label="Hypervisor"
      required
      value={form.hypervisorId}
      onChange={(hypervisorId) => set({ hypervisorId, network: "", iso: "", importPath: "", domainId: "" })}
      options={hypervisors.value.map((one) => ({
        value: one.id,
        label: one.state === "online" ? one.name : `${one.name} (${one.state})`,
        disabled: one.state === "offline",
      }))}
      error={errors.hypervisorId}
    />
  );
}

export function NameFields({ form, set, errors }: Props) {
  const vdi = form.role === "vdi";
  return (
    <>
      {vdi && (
        <TextField
          id="count"
          label="How many"
          type="number"
          min={1}
          max={500}
          required
          value={form.count}
          onChange={(count) => set({ count })}
          error={errors.count}
        />
      )}
      <TextField
        id="name"
        label={vdi ? "Name pattern" : "Name"}
        required
        value={form.name}
        onChange={(name) => set({ name })}
        placeholder={vdi ? "lab-{nn}" : "win11-source"}
        help={vdi ? `{n} counts, {nn} pads to two digits: ${namePreview(form)}` : undefined}
        error={errors.name}
      />
    </>
  );
}

export function namePreview(form: Pick<NewMachine, "name" | "count">): string {
  const count = Math.max(1, Number(form.count) || 1);
  const names = previewNames(form.name.trim() || "lab-{n}", count);
  const last = previewNames(form.name.trim() || "lab-{n}", count, count).at(-1);
  return count > names.length ? `${names.join(", ")}, … ${last}` : names.join(", ");
}

export function HardwareFields({ form, set, errors }: Props) {
  return (
    <FormSection title="Hardware" titleElement="h2">
      {hardwareHelp(form)}
      <div className="kv-field-row">
        <TextField
          id="vcpus"
          label="vCPUs"
          type="number"
          min={1}
          max={256}
          value={form.vcpus}
          onChange={(vcpus) => set({ vcpus })}
          error={errors.vcpus}
        />
        <TextField
          id="memoryMiB"
          label="Memory (MiB)"
          type="number"
          min={64}
          value={form.memoryMiB}
          onChange={(memoryMiB) => set({ memoryMiB })}
          error={errors.memoryMiB}
        />
      </div>
      <div className="kv-field-row">
        <SelectField
          id="osType"
          label="System"
          value={form.osType}
          onChange={(osType) => set({ osType: OsType.parse(osType) })}
          options={[{ value: "linux", label: "Linux" }, { value: "windows", label: "Windows" }]}
          error={errors.osType}
        />
        <SelectField
          id="network"
          label="Network"
          value={form.network}
          onChange={(network) => set({ network })}
          options={networkOptions(form.hypervisorId, form.network)}
          error={errors.network}
        />
        <SelectField
          id="video"
          label="Video"
          value={form.video}
          onChange={(video) => set({ video: VideoModel.parse(video) })}
          options={[{ value: "qxl", label: "QXL (best for SPICE)" }, { value: "virtio", label: "virtio" }]}
          error={errors.video}
        />
      </div>
    </FormSection>
  );
}

const hardwareHelp = ({ role }: NewMachine) =>
  hasOwnDisk(role) ? null : (
    <p className="kv-quiet">
      As the {role === "vdi" ? "initial" : "source"} has it; change it if these should differ.
    </p>
  );

export function FlagFields({ form, set, errors }: Props) {
  return (
    <>
      {form.role === "initial" && (
        <Switch
          id="copyNow"
          label="Copy the disk from the source now"
          isChecked={form.copyNow}
          onChange={(_, copyNow) => set({ copyNow })}
        />
      )}
      {form.role === "vdi" && (
        <>
          <Switch
            id="populateNow"
            label="Populate now, so that they can be used at once"
            isChecked={form.populateNow}
            onChange={(_, populateNow) => set({ populateNow })}
          />
          <Switch
            id="virtualSnapshot"
            label="Virtual snapshot: come back clean after every use"
            isChecked={form.virtualSnapshot}
            onChange={(_, virtualSnapshot) => set({ virtualSnapshot })}
          />
          <Switch
            id="maintenance"
            label="Maintenance: not given to users yet"
            isChecked={form.maintenance}
            onChange={(_, maintenance) => set({ maintenance })}
          />
        </>
      )}
      <TextField
        id="notes"
        label="Notes"
        lines={2}
        value={form.notes}
        onChange={(notes) => set({ notes })}
        error={errors.notes}
      />
    </>
  );
}
