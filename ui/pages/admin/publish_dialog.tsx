import { Alert, Content, List, ListItem, Radio, Skeleton } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Image, ImageVersion } from "../../../contracts/image.ts";
import type { Machine } from "../../../contracts/machine.ts";
import { call, fieldErrors } from "../../api.ts";
import { Field, TextField } from "../../components/field.tsx";
import { FormDialog } from "../../components/form_dialog.tsx";
import { plural } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { showDialog } from "../../stores/dialog.ts";
import { followJob } from "../../stores/follow.ts";
import { useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";
import { isRollBack } from "./image_words.ts";

interface Props {
  image: Image;
  version: ImageVersion;
  onClose: () => void;
}

export const openPublish = (image: Image, version: ImageVersion) =>
  showDialog((close) => <PublishDialog image={image} version={version} onClose={close} />);

/** Makes a version current: says who is affected before it asks when they shall move. */
export function PublishDialog({ image, version, onClose }: Props) {
  const [now, setNow] = useState(false);
  const [minutes, setMinutes] = useState("5");
  const [message, setMessage] = useState("");
  const back = isRollBack(image, version);
  const verb = back ? "Roll back" : "Publish";
  const clones = useLoad(`clones ${image.id}`, () => allMachines({ sourceId: image.id, role: "vdi" }));
  const moving = clones.value?.filter((one) => one.imageVersion?.id !== version.id);
  const publishing = useAction(async () => {
    const { job } = await call("publishVersion", {
      params: { id: version.id },
      body: now
        ? {
          mode: "now",
          countdownSeconds: Math.round(Number(minutes) * 60),
          ...(message.trim() ? { message: message.trim() } : {}),
        }
        : { mode: "rolling" },
    });
    followJob(job, `${image.name}: version ${version.number} is current`);
    onClose();
  });
  const errors = fieldErrors(publishing.error);
  const minutesAreRight = /^\d+(\.\d+)?$/.test(minutes) && Number(minutes) <= 24 * 60;
  return (
    <FormDialog
      title={back
        ? `Roll ${image.name} back to version ${version.number}`
        : `Publish version ${version.number} of ${image.name}`}
      submitText={back ? `Roll back to version ${version.number}` : `Publish version ${version.number}`}
      variant="medium"
      action={publishing}
      onSubmit={() => void publishing.run()}
      onClose={onClose}
      canSubmit={!now || minutesAreRight}
      fields={["countdownSeconds", "message"]}
    >
      <Content component="p">
        {firstWords(image, version)}{" "}
        Desktops get a new disk on it: what was written on the old one is lost, personal data disks stay.
      </Content>
      <Field id="publish-mode" label={`${verb}: when do desktops move?`}>
        <div className="kv-stack" role="radiogroup" aria-label="When">
          <Radio
            id="publish-rolling"
            name="publish-mode"
            label="Rolling"
            description="Free desktops at once; each desktop in use when its user leaves or it is shut down. Nobody is disturbed."
            isChecked={!now}
            onChange={() => setNow(false)}
          />
          <Radio
            id="publish-now"
            name="publish-mode"
            label="Now"
            description="Users are warned and counted down; then their sessions end and all desktops move."
            isChecked={now}
            onChange={() => setNow(true)}
          />
        </div>
      </Field>
      {now && (
        <div className="kv-field-row">
          <TextField
            id="publish-minutes"
            label="Countdown (minutes)"
            type="number"
            min={0}
            max={1440}
            value={minutes}
            onChange={setMinutes}
            help="0 ends sessions at once"
            error={errors.countdownSeconds ?? (minutesAreRight ? undefined : "enter 0 to 1,440 minutes")}
          />
          <TextField
            id="publish-message"
            label="Message to users"
            value={message}
            onChange={setMessage}
            placeholder="New software is being installed."
            help="They read it with the countdown"
            error={errors.message}
          />
        </div>
      )}
      {moving
        ? <Affected moving={moving} now={now} />
        : <Skeleton height="4rem" screenreaderText="Loading" />}
    </FormDialog>
  );
}

/** What happens to the version itself before desktops move. */
function firstWords(image: Image, version: ImageVersion): string {
  const absent = version.copies.filter((copy) => copy.state === "missing" || copy.state === "failed");
  const parts = [
    version.state === "draft" ? `Version ${version.number} is a draft: it is sealed first.` : "",
    absent.length > 0
      ? `It is copied to ${
        absent.map((copy) => copy.hypervisorName).join(", ")
      } first, where it is not whole.`
      : "",
    image.rollout ? "The rollout that goes on now is replaced by this one." : "",
  ];
  return parts.filter(Boolean).join(" ");
}

const shown = 12;

function Affected({ moving, now }: { moving: Machine[]; now: boolean }) {
  const inUse = moving.filter((one) => one.lease);
  const running = moving.filter((one) => !one.lease && one.state !== "shut-off" && one.state !== "crashed");
  const idle = moving.length - inUse.length - running.length;
  if (moving.length === 0) {
    return <Content component="p">No desktop has to move: all are on it already, or there are none.</Content>;
  }
  return (
    <>
      <Content component="p">
        {plural(moving.length, "desktop")} will move: {inUse.length} in use, {running.length}{" "}
        running without a user, {idle} shut off.
      </Content>
      {inUse.length > 0 && (
        <Alert
          isInline
          component="p"
          variant={now ? "warning" : "info"}
          title={now
            ? `${plural(inUse.length, "user")} will be asked off`
            : `${plural(inUse.length, "desktop")} will move when ${
              inUse.length === 1 ? "its user leaves" : "their users leave"
            }`}
        >
          <List isPlain aria-label="Desktops in use">
            {inUse.slice(0, shown).map((one) => (
              <ListItem key={one.id}>{one.lease?.username} on {one.name}</ListItem>
            ))}
            {inUse.length > shown && <ListItem key="more">and {inUse.length - shown} more</ListItem>}
          </List>
        </Alert>
      )}
    </>
  );
}
