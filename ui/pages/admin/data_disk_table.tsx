import type { DataDisk } from "../../../contracts/storage.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes } from "../../format.ts";
import { useListQuery } from "../../stores/list_query.ts";
import { useLoad } from "../../stores/load.ts";
import { hypervisorName, hypervisors } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { deleteDataDisk } from "./storage_actions.ts";

const columns: Column<DataDisk>[] = [
  { title: "Owner", render: (disk) => <Owner disk={disk} /> },
  { title: "Of a", render: (disk) => disk.scope === "user" ? "user" : "machine" },
  { title: "Size", nowrap: true, render: (disk) => formatBytes(disk.bytes) },
  {
    title: "Hypervisor",
    render: (disk) => <a href={`/hypervisors/${disk.hypervisorId}`}>{hypervisorName(disk.hypervisorId)}</a>,
  },
  {
    title: "Attached to",
    render: (disk) =>
      disk.attachedTo
        ? <a href={`/machines/${disk.attachedTo.id}`}>{disk.attachedTo.name}</a>
        : <span className="kv-quiet">nothing now</span>,
  },
  { title: "Made", minor: true, nowrap: true, render: (disk) => <Time at={disk.createdAt} /> },
];

function Owner({ disk }: { disk: DataDisk }) {
  if (disk.userId) return <a href={`/users/${disk.userId}`}>{disk.ownerName}</a>;
  if (disk.machineId) return <a href={`/machines/${disk.machineId}`}>{disk.ownerName}</a>;
  return (
    <>
      {disk.ownerName} <span className="kv-quiet">(deleted)</span>
    </>
  );
}

/** Personal data disks of users and machines, on all hypervisors. */
export function DataDiskTable() {
  const list = useListQuery();
  const hypervisorId = list.filter("hypervisorId");
  const query = { ...list.paging, ...(hypervisorId ? { hypervisorId } : {}) };
  const loaded = useLoad(JSON.stringify(query), (signal) => call("listDataDisks", { query, signal }));
  const remove = async (disk: DataDisk) => {
    if (await deleteDataDisk(disk)) loaded.reload();
  };
  const narrowed = list.q !== "" || hypervisorId !== "";
  return (
    <>
      <ListToolbar
        list={{ ...list, narrowed }}
        total={loaded.value?.total}
        search="Owner or machine"
        filters={[{
          name: "hypervisorId",
          title: "Hypervisor",
          options: hypervisors.value.map(({ id, name }) => ({ value: id, text: name })),
        }]}
      />
      <DataTable
        label="Personal data disks"
        loaded={loaded}
        list={{ ...list, narrowed }}
        columns={columns}
        nameOf={(disk) => `the data disk of ${disk.ownerName}`}
        {...(isAdmin.value
          ? {
            actions: (disk: DataDisk) => [{
              title: "Delete",
              isDanger: true,
              onClick: () => void remove(disk),
            }],
          }
          : {})}
        empty={{
          title: "No personal data disks yet",
          text:
            "A data disk keeps a user's or a machine's own files through populate and virtual snapshots. Desktop pools give them by their policy; a single desktop gets one from its menu.",
        }}
      />
      {(loaded.value?.total ?? 0) > list.perPage && (
        <ListPagination list={list} total={loaded.value?.total ?? 0} />
      )}
    </>
  );
}
