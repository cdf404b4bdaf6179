import {
  Button,
  PageSection,
  Switch,
  ToggleGroup,
  ToggleGroupItem,
  ToolbarItem,
} from "@patternfly/react-core";
import PlusIcon from "@patternfly/react-icons/dist/esm/icons/plus-icon";
import { useRef, useState } from "preact/hooks";
import { type Machine, MachineSort, MachineState, Role } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { DataTable } from "../../components/data_table.tsx";
import { type Filter, ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { WatchedJob } from "../../components/watched_job.tsx";
import { machineStateText, roleTexts } from "../../components/states.tsx";
import { location, setQuery } from "../../router.ts";
import { type ListQueryState, useListQuery } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";
import { MachineNews } from "../../stores/machine_news.ts";
import { desktopPools, hypervisors } from "../../stores/places.ts";
import { BulkBar } from "./bulk_bar.tsx";
import { machineColumns } from "./machine_columns.tsx";
import { MachineGroups } from "./machine_groups.tsx";
import { machineMenu } from "./machine_menu.ts";

/** All machines: as one table, or as initials with their desktops. */
export function MachinesPage() {
  const grouped = location.value.query.get("view") === "grouped";
  return (
    <>
      <PageHead
        title="Machines"
        actions={
          <>
            <ToggleGroup aria-label="View">
              <ToggleGroupItem
                text="Table"
                buttonId="view-table"
                isSelected={!grouped}
                onChange={() => setQuery({ view: null, page: null })}
              />
              <ToggleGroupItem
                text="By image"
                buttonId="view-grouped"
                isSelected={grouped}
                onChange={() => setQuery({ view: "grouped", page: null })}
              />
            </ToggleGroup>
            <Button component="a" href="/machines/new" icon={<PlusIcon />}>Create machine</Button>
          </>
        }
      />
      <PageSection isFilled>{grouped ? <MachineGroups /> : <MachineTable />}</PageSection>
    </>
  );
}

const memberOf = <T extends string>(options: readonly T[], text: string) =>
  options.find((one) => one === text);

function queryOf(list: ListQueryState) {
  const { q } = list.paging;
  return {
    ...(q ? { q } : {}),
    role: memberOf(Role.options, list.filter("role")),
    state: memberOf(MachineState.options, list.filter("state")),
    hypervisorId: list.filter("hypervisorId") || undefined,
    desktopPoolId: list.filter("desktopPoolId") || undefined,
    sourceId: list.filter("sourceId") || undefined,
    sort: memberOf(MachineSort.options, list.sort) ?? "name" as const,
    order: list.order,
  };
}

function filters(): Filter[] {
  const named = (items: { id: string; name: string }[]) =>
    items.map(({ id, name }) => ({ value: id, text: name }));
  return [
    {
      name: "role",
      title: "Role",
      options: Role.options.map((value) => ({ value, text: roleTexts[value] })),
    },
    {
      name: "state",
      title: "State",
      options: MachineState.options.map((value) => ({ value, text: machineStateText(value) })),
    },
    { name: "hypervisorId", title: "Hypervisor", options: named(hypervisors.value) },
    { name: "desktopPoolId", title: "Desktop pool", options: named(desktopPools.value) },
  ];
}

function MachineTable() {
  const list = useListQuery({ sort: "name" });
  const query = queryOf(list);
  const key = JSON.stringify([query, list.paging]);
  const loaded = useLoad(
    key,
    (signal) => call("listMachines", { query: { ...query, ...list.paging }, signal }),
  );
  const [selected, setSelected] = useState<ReadonlyMap<string, Machine>>(new Map());
  const [thumbnails, setThumbnails] = useState(false);
  const news = useRef(new MachineNews());
  useEvents((event) => {
    if (event.type === "machine") {
      const known = loaded.value?.items.some((one) => one.id === event.machine.id);
      if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.machine) }));
      else if (news.current.isNews(event.machine)) loaded.reloadSoon();
      if (selected.has(event.machine.id)) setSelected(new Map(selected).set(event.machine.id, event.machine));
    } else if (event.type === "machine-removed") {
      loaded.reloadSoon();
      if (selected.has(event.id)) setSelected(new Map([...selected].filter(([id]) => id !== event.id)));
    }
  });
  const toggle = (ids: string[], on: boolean) => {
    const next = new Map(selected);
    for (const id of ids) {
      const machine = loaded.value?.items.find((one) => one.id === id);
      if (on && machine) next.set(id, machine);
      else next.delete(id);
    }
    setSelected(next);
  };
  const total = loaded.value?.total ?? 0;
  const selectMatching = async () =>
    setSelected(new Map((await allMachines(query)).map((machine) => [machine.id, machine])));
  const watched = list.filter("watch");
  return (
    <>
      {watched && <WatchedJob id={watched} onClose={() => setQuery({ watch: null })} />}
      <ListToolbar
        list={list}
        total={loaded.value?.total}
        search="Name, user, MAC or address"
        filters={filters()}
      >
        <ToolbarItem alignSelf="center">
          <Switch
            id="thumbnails"
            label="Thumbnails"
            isChecked={thumbnails}
            onChange={(_, on) => setThumbnails(on)}
          />
        </ToolbarItem>
      </ListToolbar>
      {selected.size > 0 && (
        <BulkBar
          machines={[...selected.values()]}
          onClear={() => setSelected(new Map())}
          matching={total > selected.size ? { count: total, select: selectMatching } : undefined}
        />
      )}
      <DataTable
        label="Machines"
        loaded={loaded}
        list={list}
        columns={machineColumns(thumbnails)}
        selection={{ ids: new Set(selected.keys()), toggle }}
        actions={machineMenu}
        nameOf={(machine) => machine.name}
        empty={{
          title: "No machines yet",
          text: "Start with a source: the machine where you install the operating system of your desktops.",
          action: <Button component="a" href="/machines/new?role=source">Create a source</Button>,
        }}
      />
      {total > list.perPage && <ListPagination list={list} total={total} />}
    </>
  );
}
