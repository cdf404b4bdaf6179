import { Button, Card, CardBody, CardTitle, Content } from "@patternfly/react-core";
import type { ReactNode } from "react";
import type { Machine } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { MachineStateLabel, roleHelp, RoleLabel } from "../../components/states.tsx";
import { plural } from "../../format.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { populate } from "../../stores/machine_actions.ts";
import { openCopyDisk } from "./copy_disk_dialog.tsx";

const shown = 12;

/** Where the machine comes from and what was made of it: source -> initial -> desktops. */
export function MachineFamily({ machine }: { machine: Machine }) {
  const parent = useLoad(`parent ${machine.sourceId}`, async (signal) => {
    if (!machine.sourceId) return null;
    return (await call("getMachine", { params: { id: machine.sourceId }, signal })).machine;
  });
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Made from, made of it</CardTitle>
      <CardBody>
        <div className="kv-stack">
          <Content component="p">{roleHelp[machine.role]}</Content>
          {parent.value && (
            <Line title={machine.role === "vdi" ? "Linked clone of" : "Copied from"}>
              <MachineLink machine={parent.value} />
            </Line>
          )}
          {machine.role !== "vdi" && machine.role !== "simple" && <Children machine={machine} />}
          <FamilyActions machine={machine} />
        </div>
      </CardBody>
    </Card>
  );
}

function Line({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <h3 className="kv-subhead">{title}</h3>
      <div className="kv-labels">{children}</div>
    </div>
  );
}

const MachineLink = ({ machine }: { machine: Machine }) => (
  <span className="kv-labels">
    <a href={`/machines/${machine.id}`}>{machine.name}</a>
    <RoleLabel role={machine.role} />
    <MachineStateLabel machine={machine} />
  </span>
);

function Children({ machine }: { machine: Machine }) {
  const loaded = useLoad(
    `children ${machine.id} ${machine.cloneCount}`,
    (signal) => call("listMachines", { query: { sourceId: machine.id, limit: shown }, signal }),
  );
  useEvents((event) =>
    event.type === "machine" &&
    loaded.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }))
  );
  const what = machine.role === "source" ? "initial" : "desktop";
  const total = loaded.value?.total ?? machine.cloneCount;
  return (
    <Line title={plural(total, what)}>
      {total === 0 && <span className="kv-quiet">none yet</span>}
      <ul className="kv-family">
        {loaded.value?.items.map((child) => (
          <li key={child.id}>
            <MachineLink machine={child} />
          </li>
        ))}
      </ul>
      {total > shown && <a href={`/machines?sourceId=${machine.id}`}>Show all {total.toLocaleString("en")}
      </a>}
    </Line>
  );
}

function FamilyActions({ machine }: { machine: Machine }) {
  const busy = machine.jobId !== null;
  if (machine.role === "source") {
    return (
      <div className="kv-actions">
        <Button variant="secondary" component="a" href={`/machines/new?role=initial&sourceId=${machine.id}`}>
          New initial
        </Button>
      </div>
    );
  }
  if (machine.role !== "initial") return null;
  return (
    <div className="kv-actions">
      <Button
        variant="secondary"
        isDisabled={busy || machine.sourceId === null}
        onClick={() => openCopyDisk(machine)}
      >
        Copy disk from source
      </Button>
      <Button
        variant="secondary"
        isDisabled={busy || machine.cloneCount === 0}
        onClick={() => void populate(machine)}
      >
        Populate
      </Button>
      <Button variant="secondary" component="a" href={`/images/${machine.id}`}>Versions</Button>
      <Button variant="secondary" component="a" href={`/machines/new?role=vdi&sourceId=${machine.id}`}>
        New desktops
      </Button>
    </div>
  );
}
