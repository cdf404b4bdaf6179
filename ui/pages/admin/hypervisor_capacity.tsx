import { Card, CardBody, CardTitle, Content, Grid, GridItem } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { z } from "zod";
import { Capacity, type Hypervisor } from "../../../contracts/hypervisor.ts";
import { fieldErrors } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { Meter } from "../../components/meter.tsx";
import { SectionForm } from "../../components/section_form.tsx";
import { formatMiB } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { isAdmin } from "../../stores/session.ts";
import { saveHypervisor } from "./hypervisor_actions.ts";
import { committedCpus, committedMemory, runningShare } from "./hypervisor_words.ts";

type Values = z.infer<typeof Capacity>;
type Draft = Record<keyof Values, string>;

const draftOf = (capacity: Values) =>
  Object.fromEntries(
    Object.entries(capacity).map(([key, value]) => [key, value === null ? "" : String(value)]),
  ) as Draft;

/** Only what was changed; an empty limit of running machines is no limit. */
function changesOf(capacity: Values, draft: Draft): Partial<Values> {
  const before = draftOf(capacity);
  const changed = Object.entries(draft).filter(([key, text]) => before[key as keyof Values] !== text);
  return Object.fromEntries(
    changed.map(([key, text]) => [key, key === "maxRunning" && text.trim() === "" ? null : Number(text)]),
  );
}

interface Field {
  key: keyof Values;
  label: string;
  help: (hypervisor: Hypervisor, draft: Draft) => string;
}

const fields: Field[] = [
  {
    key: "memoryOvercommit",
    label: "Memory overcommit (times the host's memory)",
    help: ({ facts }, draft) =>
      (facts
        ? `Running machines may be given ${
          formatMiB(facts.memoryMiB * Number(draft.memoryOvercommit || 0))
        }. `
        : "") + "1 is safe; above it the host may run out of memory.",
  },
  {
    key: "cpuOvercommit",
    label: "vCPU overcommit (vCPUs per processor)",
    help: ({ facts }, draft) =>
      (facts
        ? `${
          Math.round(facts.cpus * Number(draft.cpuOvercommit || 0)).toLocaleString("en")
        } vCPUs on ${facts.cpus} processors. `
        : "") + "Desktops idle most of the time: 4 to 10 is usual.",
  },
  {
    key: "maxRunning",
    label: "Desktops that run at once",
    help: () => "Empty: no limit but memory and vCPUs.",
  },
  {
    key: "maxStarting",
    label: "Machines that start at once",
    help: () => "The others wait: users who wait come first, then spares, then mass starts.",
  },
  {
    key: "startCpuPercent",
    label: "Start ceiling (% CPU)",
    help: () => "While the host is busier than this, only desktops that somebody waits for are started.",
  },
];

/** What a hypervisor may be given, and what it has been given. */
export function HypervisorCapacity({ hypervisor }: { hypervisor: Hypervisor }) {
  return (
    <Grid hasGutter>
      <GridItem lg={5}>
        <CommittedCard hypervisor={hypervisor} />
      </GridItem>
      <GridItem lg={7}>
        <CapacityForm hypervisor={hypervisor} />
      </GridItem>
    </Grid>
  );
}

function CommittedCard({ hypervisor }: { hypervisor: Hypervisor }) {
  const memory = committedMemory(hypervisor);
  const cpus = committedCpus(hypervisor);
  const running = runningShare(hypervisor);
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Given to running machines</CardTitle>
      <CardBody>
        <div className="kv-stack">
          {memory && <Meter label="Memory" percent={memory.percent} text={memory.text} warnPercent={95} />}
          {cpus && <Meter label="vCPUs" percent={cpus.percent} text={cpus.text} warnPercent={95} />}
          {running
            ? (
              <Meter
                label="Running desktops"
                percent={running.percent}
                text={running.text}
                warnPercent={95}
              />
            )
            : (
              <Content component="p">
                {hypervisor.committed.running.toLocaleString("en")} machines run; no limit is set.
              </Content>
            )}
          {!memory && (
            <Content component="p">The host's size is not known until its agent has answered once.</Content>
          )}
          <Content component="p" className="kv-quiet">
            A host that is full gets no further desktop: users get one that runs already, or one elsewhere.
            What runs is never touched.
          </Content>
        </div>
      </CardBody>
    </Card>
  );
}

function CapacityForm({ hypervisor }: { hypervisor: Hypervisor }) {
  const [draft, setDraft] = useState(() => draftOf(hypervisor.capacity));
  const changes = changesOf(hypervisor.capacity, draft);
  const save = useAction(async () => {
    const saved = await saveHypervisor(hypervisor, { capacity: changes });
    setDraft(draftOf(saved.capacity));
  });
  const errors = fieldErrors(save.error);
  return (
    <SectionForm
      title="Limits"
      action={save}
      changed={Object.keys(changes).length > 0}
      onUndo={() => setDraft(draftOf(hypervisor.capacity))}
      disabled={isAdmin.value ? null : "Only administrators can change this."}
      shownAtField={fields.some(({ key }) => errors[`capacity.${key}`])}
    >
      {fields.map(({ key, label, help }) => (
        <TextField
          key={key}
          id={`capacity-${key}`}
          label={label}
          type="number"
          value={draft[key]}
          onChange={(text) => setDraft({ ...draft, [key]: text })}
          help={help(hypervisor, draft)}
          error={errors[`capacity.${key}`]}
        />
      ))}
    </SectionForm>
  );
}
