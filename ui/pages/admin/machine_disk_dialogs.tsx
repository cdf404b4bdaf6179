import { Alert, Content } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import type { Machine } from "../../../contracts/machine.ts";
import { call, fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { freeBytesOf } from "../../components/hypervisor_choice.tsx";
import { publish } from "../../events.ts";
import { formatBytes } from "../../format.ts";
import { navigate } from "../../router.ts";
import { useAction } from "../../stores/action.ts";
import { confirm } from "../../stores/confirm.ts";
import { showDialog } from "../../stores/dialog.ts";
import { followJob } from "../../stores/follow.ts";
import { runJob } from "../../stores/machine_actions.ts";
import { hypervisorName, hypervisors } from "../../stores/places.ts";
import { toast } from "../../stores/toasts.ts";

interface Props {
  machine: Machine;
  onClose: () => void;
}

const GiB = 1024 ** 3;
const gibOf = (bytes: number) => String(Math.round(bytes / GiB * 10) / 10);
const bytesOf = (gib: string) => Math.round(Number(gib) * GiB);

export const openMove = (machine: Machine) =>
  showDialog((close) => <MoveDialog machine={machine} onClose={close} />);
export const openCopy = (machine: Machine) =>
  showDialog((close) => <CopyDialog machine={machine} onClose={close} />);
export const openResize = (machine: Machine) =>
  showDialog((close) => <ResizeDialog machine={machine} onClose={close} />);
export const openDataDisk = (machine: Machine) =>
  showDialog((close) => <DataDiskDialog machine={machine} onClose={close} />);

/** Makes a vdi a machine of its own, after a question. */
export async function flatten(machine: Machine): Promise<void> {
  const agreed = await confirm({
    title: `Make ${machine.name} a stand-alone machine?`,
    body:
      `It gets a disk of its own with all that is on it now (up to ${
        formatBytes(machine.diskBytes)
      }) and its ` +
      "role becomes Simple: it is not populated any more. It stays in its desktop pools.",
    confirmText: "Make stand-alone",
  });
  if (!agreed) return;
  await runJob(
    `Could not make ${machine.name} stand-alone`,
    `${machine.name} has a disk of its own`,
    () => call("flattenMachine", { params: { id: machine.id } }),
  );
}

const placeOption = (one: Hypervisor) => {
  const free = freeBytesOf(one);
  const words = one.state === "offline" ? "offline" : free === null ? "" : `${formatBytes(free)} free`;
  return {
    value: one.id,
    label: words ? `${one.name} (${words})` : one.name,
    disabled: one.state === "offline",
  };
};

function MoveDialog({ machine, onClose }: Props) {
  const others = hypervisors.value.filter((one) => one.id !== machine.hypervisorId);
  const [hypervisorId, setHypervisorId] = useState(others.find((one) => one.state === "online")?.id ?? "");
  const move = useAction(async () => {
    const { job } = await call("moveMachine", { params: { id: machine.id }, body: { hypervisorId } });
    followJob(job, `${machine.name} is on ${hypervisorName(hypervisorId)}`);
    onClose();
  });
  return (
    <FormDialog
      title={`Move ${machine.name} to another hypervisor`}
      submitText="Move"
      action={move}
      onSubmit={() => void move.run()}
      onClose={onClose}
      canSubmit={hypervisorId !== ""}
      fields={["hypervisorId"]}
    >
      <Content component="p">
        It is on {hypervisorName(machine.hypervisorId)} now. {machine.role === "vdi"
          ? "Its overlay is moved; the version of the image below it is copied too where it is missing."
          : "Its disks are copied, checked, and removed here only then."}
      </Content>
      {machine.state !== "shut-off" && (
        <Alert isInline variant="warning" component="p" title={`Shut ${machine.name} down first.`} />
      )}
      {others.length === 0
        ? <Alert isInline variant="info" component="p" title="There is no other hypervisor yet." />
        : (
          <SelectField
            id="move-to"
            label="Hypervisor"
            required
            value={hypervisorId}
            onChange={setHypervisorId}
            options={others.map(placeOption)}
            error={fieldErrors(move.error).hypervisorId}
          />
        )}
    </FormDialog>
  );
}

function CopyDialog({ machine, onClose }: Props) {
  const [name, setName] = useState(`${machine.name}-copy`);
  const [hypervisorId, setHypervisorId] = useState(machine.hypervisorId);
  const copy = useAction(async () => {
    const answer = await call("copyMachine", {
      params: { id: machine.id },
      body: { name: name.trim(), hypervisorId },
    });
    followJob(answer.job, `${answer.machine.name} is a copy of ${machine.name}`);
    onClose();
    navigate(`/machines/${answer.machine.id}`);
  });
  const errors = fieldErrors(copy.error);
  return (
    <FormDialog
      title={`Copy ${machine.name}`}
      submitText="Copy"
      action={copy}
      onSubmit={() => void copy.run()}
      onClose={onClose}
      canSubmit={name.trim() !== "" && hypervisorId !== ""}
      fields={["name", "hypervisorId"]}
    >
      <Content component="p">
        A second machine like it, with a MAC address of its own and a copy of its disk. A system that was not
        prepared for it has the same identity twice: the same machine ID, host keys and computer name.
      </Content>
      {machine.state !== "shut-off" && (
        <Alert isInline variant="warning" component="p" title={`Shut ${machine.name} down first.`} />
      )}
      <TextField id="copy-name" label="Name" required value={name} onChange={setName} error={errors.name} />
      <SelectField
        id="copy-hypervisor"
        label="Hypervisor"
        value={hypervisorId}
        onChange={setHypervisorId}
        options={hypervisors.value.map(placeOption)}
        error={errors.hypervisorId}
      />
    </FormDialog>
  );
}

function ResizeDialog({ machine, onClose }: Props) {
  const before = machine.diskBytes ?? 0;
  const [gib, setGib] = useState(gibOf(before + 10 * GiB));
  const bytes = bytesOf(gib);
  const resize = useAction(async () => {
    const { job } = await call("resizeDisk", { params: { id: machine.id }, body: { bytes } });
    followJob(job, `The disk of ${machine.name} has ${formatBytes(bytes)}`);
    onClose();
  });
  const tooSmall = !(bytes > before);
  return (
    <FormDialog
      title={`Make the disk of ${machine.name} larger`}
      submitText="Resize"
      action={resize}
      onSubmit={() => void resize.run()}
      onClose={onClose}
      canSubmit={!tooSmall}
      fields={["bytes"]}
    >
      <Content component="p">
        It has{" "}
        {formatBytes(before)}. A disk can grow, not shrink. The partition and the file system are then made
        larger from within the guest.
      </Content>
      <TextField
        id="resize-gib"
        label="New size (GiB)"
        type="number"
        min={1}
        required
        value={gib}
        onChange={setGib}
        error={fieldErrors(resize.error).bytes ??
          (tooSmall ? `must be more than ${formatBytes(before)}` : undefined)}
      />
    </FormDialog>
  );
}

function DataDiskDialog({ machine, onClose }: Props) {
  const before = machine.dataDisk?.bytes ?? 0;
  const [gib, setGib] = useState(gibOf(before > 0 ? before * 2 : 10 * GiB));
  const bytes = bytesOf(gib);
  const save = useAction(async () => {
    const answer = await call("putDataDisk", { params: { id: machine.id }, body: { bytes } });
    publish({ type: "machine", machine: answer.machine });
    toast({ variant: "success", title: `${machine.name} has a data disk of ${formatBytes(bytes)}` });
    onClose();
  });
  const wrong = !(bytes > before) || bytes < 16 * 1024 ** 2;
  return (
    <FormDialog
      title={before > 0 ? `Make the data disk of ${machine.name} larger` : `Give ${machine.name} a data disk`}
      submitText={before > 0 ? "Resize" : "Create"}
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      canSubmit={!wrong}
      fields={["bytes"]}
    >
      <Content component="p">
        {before > 0
          ? `It has ${formatBytes(before)} now, and what is on it stays. `
          : "A second disk for personal files: it survives populate and virtual snapshots. The guest sees it as a new, empty disk. "}
        Disks for users rather than machines are made by their desktop pool.
      </Content>
      <TextField
        id="data-gib"
        label="Size (GiB)"
        type="number"
        min={0.1}
        required
        value={gib}
        onChange={setGib}
        error={fieldErrors(save.error).bytes ??
          (wrong
            ? before > 0 ? `must be more than ${formatBytes(before)}` : "must be at least 0.1"
            : undefined)}
      />
    </FormDialog>
  );
}
