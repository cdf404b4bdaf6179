import { Alert, Content } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Image, ImageVersion } from "../../../contracts/image.ts";
import { call, fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { HypervisorChoice } from "../../components/hypervisor_choice.tsx";
import { publish } from "../../events.ts";
import { formatBytes } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { showDialog } from "../../stores/dialog.ts";
import { followJob } from "../../stores/follow.ts";
import { allocatedOf } from "./image_words.ts";

interface Props {
  image: Image;
  version: ImageVersion;
  onClose: () => void;
}

export const openNote = (image: Image, version: ImageVersion) =>
  showDialog((close) => <NoteDialog image={image} version={version} onClose={close} />);
export const openDistribute = (image: Image, version: ImageVersion) =>
  showDialog((close) => <DistributeDialog image={image} version={version} onClose={close} />);

function NoteDialog({ image, version, onClose }: Props) {
  const [note, setNote] = useState(version.note);
  const save = useAction(async () => {
    await call("updateVersion", { params: { id: version.id }, body: { note: note.trim() } });
    publish({ type: "image", id: image.id });
    onClose();
  });
  return (
    <FormDialog
      title={`Note on version ${version.number} of ${image.name}`}
      submitText="Save"
      action={save}
      onSubmit={() => void save.run()}
      onClose={onClose}
      fields={["note"]}
    >
      <TextField
        id="version-note"
        label="Note"
        lines={3}
        value={note}
        onChange={setNote}
        help="What is in this version"
        error={fieldErrors(save.error).note}
      />
    </FormDialog>
  );
}

/** Copies a sealed version to further hypervisors, or again to where it is missing. */
function DistributeDialog({ image, version, onClose }: Props) {
  const broken = version.copies.filter((copy) => copy.state === "missing" || copy.state === "failed");
  const [chosen, setChosen] = useState(() => broken.map((copy) => copy.hypervisorId));
  const there = Object.fromEntries(
    version.copies.filter((copy) => copy.state === "present" || copy.state === "copying")
      .map((copy) => [copy.hypervisorId, copy.state === "present" ? "has it" : "is being copied to"]),
  );
  const copy = useAction(async () => {
    const { job } = await call("distributeVersion", {
      params: { id: version.id },
      body: { hypervisorIds: chosen },
    });
    followJob(job, `Version ${version.number} of ${image.name} is on all chosen hypervisors`);
    onClose();
  });
  return (
    <FormDialog
      title={`Copy version ${version.number} of ${image.name} to hypervisors`}
      submitText="Copy"
      action={copy}
      onSubmit={() => void copy.run()}
      onClose={onClose}
      canSubmit={chosen.length > 0}
    >
      <Content component="p">
        It takes {formatBytes(allocatedOf(version))}{" "}
        on each. Desktops of this image can be made wherever it is present.
      </Content>
      {broken.map((one) => (
        <Alert
          key={one.hypervisorId}
          isInline
          isPlain
          variant="warning"
          component="p"
          title={`${one.hypervisorName}: ${one.error ?? "the file is not there any more"}`}
        />
      ))}
      <HypervisorChoice
        id="distribute-to"
        label="Hypervisors"
        fixed={there}
        chosen={chosen}
        onChange={setChosen}
        error={fieldErrors(copy.error).hypervisorIds}
      />
    </FormDialog>
  );
}
