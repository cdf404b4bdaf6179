import { Button, Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon";
import InProgressIcon from "@patternfly/react-icons/dist/esm/icons/in-progress-icon";
import OutlinedCircleIcon from "@patternfly/react-icons/dist/esm/icons/outlined-circle-icon";
import PlayCircleIcon from "@patternfly/react-icons/dist/esm/icons/play-circle-icon";
import type { ComponentType } from "react";
import type { ChecklistStep, Image } from "../../../contracts/image.ts";
import type { BulkAction, Machine } from "../../../contracts/machine.ts";
import { ActionButton } from "../../components/action_button.tsx";
import { plural } from "../../format.ts";
import {
  allMachines,
  bulkMachines,
  openConsole,
  populate,
  powerMachine,
} from "../../stores/machine_actions.ts";
import { openCopyDisk } from "./copy_disk_dialog.tsx";
import { bootInitial, publishAgain, sealVersion } from "./image_actions.ts";
import { currentOf, stepStateTexts, stepTitles } from "./image_words.ts";
import { openPublish } from "./publish_dialog.tsx";
import { SysprepHelp } from "./sysprep_help.tsx";

interface Props {
  image: Image;
  initial: Machine | undefined;
  source: Machine | undefined;
}

const looks: Record<ChecklistStep["state"], {
  color: "green" | "blue" | "grey" | "orange";
  icon: ComponentType;
}> = {
  done: { color: "green", icon: CheckCircleIcon },
  next: { color: "blue", icon: PlayCircleIcon },
  later: { color: "grey", icon: OutlinedCircleIcon },
  optional: { color: "grey", icon: PlayCircleIcon },
  running: { color: "blue", icon: InProgressIcon },
  blocked: { color: "orange", icon: ExclamationTriangleIcon },
};

/** The way of an image from its source to its users, each step with its state and its button. */
export function ImageChecklist(props: Props) {
  return (
    <Card isFullHeight>
      <CardTitle component="h2">From the source to the users</CardTitle>
      <CardBody>
        <ol className="kv-checklist">
          {props.image.checklist.map((step) => (
            <li key={step.step} className={`kv-check kv-check-${step.state}`}>
              <div className="kv-check-text">
                <span className="kv-labels">
                  <strong>{stepTitles[step.step]}</strong>
                  <StepLabel state={step.state} />
                </span>
                <span className="kv-quiet">{step.detail}</span>
                {step.step === "customised" && <SysprepHelp osType={props.initial?.osType ?? "linux"} />}
              </div>
              <div className="kv-actions">
                <StepAction step={step} {...props} />
              </div>
            </li>
          ))}
        </ol>
      </CardBody>
    </Card>
  );
}

function StepLabel({ state }: { state: ChecklistStep["state"] }) {
  const { color, icon: Icon } = looks[state];
  return <Label isCompact color={color} icon={<Icon />}>{stepStateTexts[state]}</Label>;
}

function StepAction(props: Props & { step: ChecklistStep }) {
  const { step, image, initial, source } = props;
  if (step.state === "later") return null;
  const main = step.state === "next" ? "primary" as const : "secondary" as const;
  const newest = image.versions[0];
  switch (step.step) {
    case "source-ready":
      if (source?.state !== "running") {
        return source && step.state === "next"
          ? <Button size="sm" component="a" href={`/machines/${source.id}`}>Open {source.name}</Button>
          : null;
      }
      return (
        <ActionButton size="sm" variant="secondary" onAction={() => powerMachine(source, "shutdown")}>
          Shut down {source.name}
        </ActionButton>
      );
    case "copied":
      if (!initial || image.sourceId === null) return null;
      return (
        <Button
          size="sm"
          variant={main}
          isDisabled={newest?.state === "copying"}
          onClick={() => openCopyDisk(initial)}
        >
          Copy disk from source
        </Button>
      );
    case "customised":
      return newest?.state === "draft" && initial ? <CustomiseButtons initial={initial} main={main} /> : null;
    case "sealed":
      if (newest?.state !== "draft") return null;
      return (
        <ActionButton
          size="sm"
          variant={main}
          isDisabled={newest.jobId !== null}
          onAction={() => sealVersion(image, newest)}
        >
          Seal version {newest.number}
        </ActionButton>
      );
    case "published":
      if (!newest || newest.current || newest.state !== "sealed" && newest.state !== "draft") return null;
      return (
        <Button
          size="sm"
          variant={main}
          isDisabled={newest.jobId !== null}
          onClick={() => openPublish(image, newest)}
        >
          Publish version {newest.number}
        </Button>
      );
    case "populated":
      return <PopulateButton {...props} main={main} />;
    case "snapshots-on":
      return <BulkStep {...props} main={main} action="virtual-snapshot-on" />;
    case "maintenance-off":
      return <BulkStep {...props} main={main} action="maintenance-off" />;
  }
}

type Main = { main: "primary" | "secondary" };

function CustomiseButtons({ initial, main }: { initial: Machine } & Main) {
  const off = initial.state === "shut-off" || initial.state === "crashed";
  if (off) {
    return (
      <ActionButton size="sm" variant={main} onAction={() => bootInitial(initial)}>
        Start the initial and open its console
      </ActionButton>
    );
  }
  return (
    <>
      <Button size="sm" variant={main} onClick={() => openConsole(initial)}>Open its console</Button>
      <ActionButton
        size="sm"
        variant="secondary"
        isDisabled={initial.pendingAction !== null}
        onAction={() => powerMachine(initial, "shutdown")}
      >
        Shut it down
      </ActionButton>
    </>
  );
}

function PopulateButton({ image, initial, step, main }: Props & { step: ChecklistStep } & Main) {
  const current = currentOf(image);
  if (step.state === "done" || image.rollout) return null;
  if (image.cloneCount === 0) {
    return (
      <Button size="sm" variant={main} component="a" href={`/machines/new?role=vdi&sourceId=${image.id}`}>
        Create desktops
      </Button>
    );
  }
  if (!current) return null;
  return (
    <>
      <ActionButton size="sm" variant={main} onAction={() => publishAgain(image, current)}>
        Move the rest as users leave
      </ActionButton>
      {initial && (
        <ActionButton size="sm" variant="secondary" onAction={() => populate(initial)}>
          Populate all
        </ActionButton>
      )}
    </>
  );
}

/** Switches what all desktops of the image still lack, in one job. */
function BulkStep({ image, step, main, action }: Props & { step: ChecklistStep; action: BulkAction } & Main) {
  if (step.state === "done" || image.cloneCount === 0) return null;
  const snapshots = action === "virtual-snapshot-on";
  const act = async () => {
    const clones = await allMachines({ sourceId: image.id, role: "vdi" });
    const lacking = clones.filter((one) => snapshots ? !one.virtualSnapshot : one.maintenance);
    if (lacking.length > 0) await bulkMachines(lacking, action);
  };
  return (
    <ActionButton size="sm" variant={main} onAction={act}>
      {snapshots
        ? `Turn virtual snapshots on for all ${plural(image.cloneCount, "desktop")}`
        : "End maintenance for all desktops"}
    </ActionButton>
  );
}
