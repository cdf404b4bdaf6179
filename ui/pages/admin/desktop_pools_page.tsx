import { Button, Label, PageSection } from "@patternfly/react-core";
import PlusIcon from "@patternfly/react-icons/dist/esm/icons/plus-icon";
import type { DesktopPool } from "../../../contracts/desktop_pool.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { PoolBar } from "../../components/pool_bar.tsx";
import { plural } from "../../format.ts";
import { location, navigate, setQuery } from "../../router.ts";
import { useListQuery } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { deletePool, setPoolEnabled } from "./desktop_pool_actions.ts";
import { DesktopPoolDialog } from "./desktop_pool_dialog.tsx";

const columns: Column<DesktopPool>[] = [
  {
    title: "Name",
    render: (pool) => (
      <>
        <span className="kv-labels">
          <a href={`/desktop-pools/${pool.id}`}>{pool.name}</a>
          {!pool.enabled && <Label isCompact color="orange">Switched off</Label>}
        </span>
        {pool.description && <div className="kv-quiet">{pool.description}</div>}
      </>
    ),
  },
  { title: "Machines", render: (pool) => <PoolBar counts={pool.counts} /> },
  { title: "Users", nowrap: true, render: (pool) => plural(pool.entitledUsers, "user") },
  { title: "After use", minor: true, nowrap: true, render: (pool) => afterUseTexts[pool.policy.afterUse] },
];

const afterUseTexts = { keep: "left running", shutdown: "shut down", reset: "reset to the image" };

/** What users see and click: sets of machines with a policy. */
export function DesktopPoolsPage() {
  const list = useListQuery();
  const loaded = useLoad(
    JSON.stringify(list.paging),
    (signal) => call("listDesktopPools", { query: list.paging, signal }),
  );
  useEvents((event) => {
    if (event.type === "desktop-pool") {
      const known = loaded.value?.items.some((one) => one.id === event.desktopPool.id);
      if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.desktopPool) }));
      else loaded.reloadSoon();
    }
    if (event.type === "desktop-pool-removed") loaded.reloadSoon();
  });
  const creating = location.value.query.get("new") === "true";
  const create = (
    <Button icon={<PlusIcon />} onClick={() => setQuery({ new: true })}>Create desktop pool</Button>
  );
  return (
    <>
      <PageHead title="Desktop pools" actions={create} />
      <PageSection isFilled>
        <ListToolbar
          list={{ ...list, narrowed: list.q !== "" }}
          total={loaded.value?.total}
          search="Name or description"
        />
        <DataTable
          label="Desktop pools"
          loaded={loaded}
          list={{ ...list, narrowed: list.q !== "" }}
          columns={columns}
          nameOf={(pool) => pool.name}
          actions={(pool) => [
            {
              title: pool.enabled ? "Switch off" : "Switch on",
              onClick: () => void setPoolEnabled(pool, !pool.enabled),
            },
            { title: "Delete", isDanger: true, onClick: () => void deletePool(pool) },
          ]}
          empty={{
            title: "No desktop pools yet",
            text:
              "A desktop pool is what users see and click. It gives each entitled user a free desktop of its machines.",
            action: create,
          }}
        />
        {(loaded.value?.total ?? 0) > list.perPage && (
          <ListPagination list={list} total={loaded.value?.total ?? 0} />
        )}
      </PageSection>
      {creating && (
        <DesktopPoolDialog
          onClose={() => setQuery({ new: null })}
          onSaved={(pool) => navigate(`/desktop-pools/${pool.id}`)}
        />
      )}
    </>
  );
}
