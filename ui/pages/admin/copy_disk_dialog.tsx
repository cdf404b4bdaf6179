import { Alert, Content, Switch } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Machine } from "../../../contracts/machine.ts";
import { call, fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { HypervisorChoice } from "../../components/hypervisor_choice.tsx";
import { formatBytes } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { showDialog } from "../../stores/dialog.ts";
import { followJob } from "../../stores/follow.ts";
import { useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";

interface Props {
  initial: Machine;
  onClose: () => void;
}

export const openCopyDisk = (initial: Machine) =>
  showDialog((close) => <CopyDiskDialog initial={initial} onClose={close} />);

/** Copies the source's disk into a new version beside the old ones. */
export function CopyDiskDialog({ initial, onClose }: Props) {
  const [chosen, setChosen] = useState<string[]>([]);
  const [seal, setSeal] = useState(false);
  const [note, setNote] = useState("");
  const family = useLoad(`family ${initial.id}`, async (signal) => ({
    source: initial.sourceId
      ? (await call("getMachine", { params: { id: initial.sourceId }, signal })).machine
      : null,
    clones: await allMachines({ sourceId: initial.id, role: "vdi" }),
  }));
  const source = family.value?.source;
  const needed = neededOn(initial, family.value?.clones ?? []);
  const copy = useAction(async () => {
    const hypervisorIds = [...new Set([...Object.keys(needed), ...chosen])];
    const { job } = await call("copyDisk", {
      params: { id: initial.id },
      body: { seal, note: note.trim(), ...(chosen.length > 0 ? { hypervisorIds } : {}) },
    });
    followJob(job, `${initial.name} has a new version from the source`);
    onClose();
  });
  const errors = fieldErrors(copy.error);
  return (
    <FormDialog
      title={`Copy disk from source to ${initial.name}`}
      submitText="Copy disk"
      variant="medium"
      action={copy}
      onSubmit={() => void copy.run()}
      onClose={onClose}
      canSubmit={family.value !== undefined}
      fields={["note"]}
    >
      <Content component="p">
        A new version is written beside the old ones; desktops stay on theirs until you publish it.
        {source?.diskBytes ? ` ${source.name} has a disk of ${formatBytes(source.diskBytes)}.` : ""}
      </Content>
      {source && source.state !== "shut-off" && (
        <Alert
          isInline
          variant="warning"
          component="p"
          title={`${source.name} is not shut off. Shut it down first: a disk that is in use can't be copied.`}
        />
      )}
      <HypervisorChoice
        id="copy-to"
        label="Hypervisors"
        fixed={needed}
        chosen={chosen}
        onChange={setChosen}
        help="Further hypervisors get it when it is sealed"
        error={errors.hypervisorIds}
      />
      <Switch
        id="copy-seal"
        label="Seal it at once: nothing is to be customised on the initial"
        isChecked={seal}
        onChange={(_, on) => setSeal(on)}
      />
      <TextField
        id="copy-note"
        label="Note"
        value={note}
        onChange={setNote}
        placeholder="Updates of November, new office suite"
        help="What is new in this version"
        error={errors.note}
      />
    </FormDialog>
  );
}

/** Where the version must be: on the initial's hypervisor and wherever its desktops are. */
function neededOn(initial: Machine, clones: Machine[]): Record<string, string> {
  const needed: Record<string, string> = {};
  for (const { hypervisorId } of clones) needed[hypervisorId] = "has desktops of it";
  needed[initial.hypervisorId] = "the initial is here";
  return needed;
}
