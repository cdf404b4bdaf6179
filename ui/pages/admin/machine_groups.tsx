import {
  Button,
  Card,
  CardBody,
  CardExpandableContent,
  CardHeader,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  EmptyStateFooter,
} from "@patternfly/react-core";
import ImageIcon from "@patternfly/react-icons/dist/esm/icons/image-icon";
import { useRef, useState } from "preact/hooks";
import type { BulkAction, Machine } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { DataTable, RowActions } from "../../components/data_table.tsx";
import { CancelJobButton, JobProgress } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { MachineFlags, MachineStateLabel } from "../../components/states.tsx";
import { plural } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { openJobOf } from "../../stores/live.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { MachineNews } from "../../stores/machine_news.ts";
import { allMachines, bulkMachines, populate } from "../../stores/machine_actions.ts";
import { ActionMenu } from "./bulk_bar.tsx";
import { openCopyDisk } from "./copy_disk_dialog.tsx";
import { machineColumns } from "./machine_columns.tsx";
import { machineMenu } from "./machine_menu.ts";

/** Every initial with what is made of it: copy, populate and mass actions in one place. */
export function MachineGroups() {
  const loaded = useLoad(
    "initials",
    (signal) => call("listMachines", { query: { role: "initial", limit: 500 }, signal }),
  );
  const sources = useLoad(
    "sources",
    (signal) => call("listMachines", { query: { role: "source", limit: 500 }, signal }),
  );
  useEvents((event) => {
    if (event.type === "machine" && (event.machine.role === "initial" || event.machine.role === "source")) {
      const list = event.machine.role === "initial" ? loaded : sources;
      const known = list.value?.items.some((one) => one.id === event.machine.id);
      if (known) list.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }));
      else list.reloadSoon();
    }
    if (event.type === "machine-removed") loaded.reloadSoon();
  });
  if (loaded.error && !loaded.value) {
    return (
      <InlineProblem title="Initials could not be loaded" error={loaded.error} onRetry={loaded.reload} />
    );
  }
  if (!loaded.value) return <Waiting />;
  if (loaded.value.items.length === 0) return <NoInitials />;
  return (
    <div className="kv-stack">
      {loaded.value.items.map((initial) => (
        <Group
          key={initial.id}
          initial={initial}
          source={sources.value?.items.find((one) => one.id === initial.sourceId)}
        />
      ))}
    </div>
  );
}

function NoInitials() {
  return (
    <EmptyState headingLevel="h2" titleText="No initials yet" icon={ImageIcon}>
      <EmptyStateBody>
        An initial is a golden image, copied from a source. Desktops are linked clones of it: make it once,
        populate hundreds.
      </EmptyStateBody>
      <EmptyStateFooter>
        <Button component="a" href="/machines/new?role=initial">Create an initial</Button>
      </EmptyStateFooter>
    </EmptyState>
  );
}

const massActions: BulkAction[] = [
  "start",
  "shutdown",
  "reboot",
  "destroy",
  "maintenance-on",
  "maintenance-off",
  "virtual-snapshot-on",
  "virtual-snapshot-off",
  "delete",
];

function Group({ initial, source }: { initial: Machine; source: Machine | undefined }) {
  const [open, setOpen] = useState(false);
  const job = openJobOf(initial);
  const mass = useAction(
    async (action: BulkAction) => bulkMachines(await allMachines({ sourceId: initial.id }), action),
    `Could not load the desktops of ${initial.name}`,
  );
  return (
    <Card isExpanded={open} isCompact id={`group-${initial.id}`}>
      <CardHeader
        onExpand={() => setOpen(!open)}
        toggleButtonProps={{
          "aria-label": `Desktops of ${initial.name}`,
          "aria-expanded": open,
        }}
        actions={{
          hasNoOffset: true,
          actions: (
            <div className="kv-actions">
              <Button
                variant="secondary"
                size="sm"
                isDisabled={initial.jobId !== null || initial.sourceId === null}
                onClick={() => openCopyDisk(initial)}
              >
                Copy disk
              </Button>
              <Button
                variant="secondary"
                size="sm"
                isDisabled={initial.jobId !== null || initial.cloneCount === 0}
                onClick={() => void populate(initial)}
              >
                Populate
              </Button>
              <ActionMenu
                title="All desktops"
                label={`All desktops of ${initial.name}`}
                actions={massActions}
                busy={mass.busy || initial.cloneCount === 0}
                onAction={(action) => void mass.run(action)}
              />
              <RowActions items={machineMenu(initial)} name={initial.name} />
            </div>
          ),
        }}
      >
        <CardTitle component="h2">
          <span className="kv-labels">
            <a href={`/machines/${initial.id}`}>{initial.name}</a>
            <MachineStateLabel machine={initial} />
            <MachineFlags machine={initial} />
          </span>
          <p className="kv-group-facts">
            {plural(initial.cloneCount, "desktop")} · source:{" "}
            {source ? <a href={`/machines/${source.id}`}>{source.name}</a> : "none"}
            {source && source.state !== "shut-off" && " (must be shut off to be copied)"}
          </p>
        </CardTitle>
      </CardHeader>
      {job && (
        <CardBody>
          <div className="kv-job-line">
            <JobProgress job={job} />
            <CancelJobButton job={job} />
          </div>
        </CardBody>
      )}
      <CardExpandableContent>
        <CardBody>{open && <GroupMembers initial={initial} />}</CardBody>
      </CardExpandableContent>
    </Card>
  );
}

const shownMembers = 100;

function GroupMembers({ initial }: { initial: Machine }) {
  const news = useRef(new MachineNews());
  const loaded = useLoad(
    initial.id,
    (signal) => call("listMachines", { query: { sourceId: initial.id, limit: shownMembers }, signal }),
  );
  useEvents((event) => {
    if (event.type === "machine") {
      loaded.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }));
      const known = loaded.value?.items.some((one) => one.id === event.machine.id);
      if (!known && event.machine.sourceId === initial.id && news.current.isNews(event.machine)) {
        loaded.reloadSoon();
      }
    }
    if (event.type === "machine-removed") loaded.reloadSoon();
  });
  const columns = machineColumns(false).filter(({ title }) => title !== "Role")
    .map(({ sort: _, ...column }) => column);
  return (
    <>
      <DataTable
        label={`Desktops of ${initial.name}`}
        loaded={loaded}
        columns={columns}
        actions={machineMenu}
        nameOf={(machine) => machine.name}
        empty={{
          title: "No desktops yet",
          text: "Make as many linked clones as you need.",
          action: (
            <Button component="a" href={`/machines/new?role=vdi&sourceId=${initial.id}`}>
              Create desktops
            </Button>
          ),
        }}
      />
      {(loaded.value?.total ?? 0) > shownMembers && (
        <a href={`/machines?sourceId=${initial.id}`}>
          Show all {loaded.value?.total.toLocaleString("en")} in the table
        </a>
      )}
    </>
  );
}
