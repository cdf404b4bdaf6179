import { Button, Content } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Lease, LeaseQuery } from "../../../contracts/desktop.ts";
import type { z } from "zod";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination } from "../../components/list_toolbar.tsx";
import { PlacementReasons } from "../../components/placement_reasons.tsx";
import { Time } from "../../components/time.tsx";
import { confirm } from "../../stores/confirm.ts";
import type { ListQueryState } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { openConsole } from "../../stores/machine_actions.ts";
import { toast, toastError } from "../../stores/toasts.ts";
import { isLost, SessionLabels } from "./session_labels.tsx";

const userColumn: Column<Lease> = {
  title: "User",
  render: (lease) => <a href={`/users/${lease.userId}`}>{lease.username}</a>,
};

/** The machine, and a way to ask why this one. */
const desktopColumn = (openId: string | null, onOpen: (id: string | null) => void): Column<Lease> => ({
  title: "Desktop",
  render: (lease) => (
    <span className="kv-line">
      {lease.machine
        ? <a href={`/machines/${lease.machine.id}`}>{lease.machine.name}</a>
        : <span>none yet</span>}
      <small className="kv-quiet">
        {lease.hypervisorName && `${lease.hypervisorName} `}
        {lease.explanation && (
          <Button
            variant="link"
            isInline
            size="sm"
            aria-expanded={lease.id === openId}
            aria-label={`Why ${lease.machine?.name ?? "none"} for ${lease.username}?`}
            onClick={() => onOpen(lease.id === openId ? null : lease.id)}
          >
            Why?
          </Button>
        )}
      </small>
    </span>
  ),
});

/** Why this machine was chosen, and how the pool's others stood. */
function Why({ lease }: { lease: Lease }) {
  return (
    <div className="kv-stack kv-why">
      <Content component="p">{lease.explanation}</Content>
      <PlacementReasons
        reasons={lease.reasons}
        label={`How the machines stood when ${lease.username} got ${lease.machine?.name ?? "none"}`}
      />
    </div>
  );
}

const columns: Column<Lease>[] = [
  { title: "State", render: (lease) => <SessionLabels lease={lease} /> },
  {
    title: "Desktop pool",
    minor: true,
    render: (lease) => <a href={`/desktop-pools/${lease.desktopPoolId}`}>{lease.desktopPoolName}</a>,
  },
  { title: "From", render: (lease) => lease.terminal ?? "–" },
  { title: "Since", nowrap: true, render: (lease) => <Time at={lease.startedAt} /> },
  {
    title: "Last sign of life",
    minor: true,
    nowrap: true,
    render: (lease) => <Time at={lease.lastHeartbeatAt} />,
  },
];

const endedColumns: Column<Lease>[] = [
  { title: "Ended", nowrap: true, render: (lease) => <Time at={lease.endedAt} never="not yet" /> },
  { title: "Why", render: (lease) => lease.endReason ?? "" },
];

/** Ends a session after asking: the user loses the desktop. */
async function endSession(lease: Lease): Promise<void> {
  const agreed = await confirm({
    title: `End the session of ${lease.username}?`,
    body: lease.volatile
      ? `${lease.username} loses ${lease.machine?.name ?? "the desktop"}; what was written on it is dropped.`
      : `${lease.username} loses ${
        lease.machine?.name ?? "the desktop"
      }; work that is not saved may be lost.`,
    confirmText: "End session",
    danger: true,
  });
  if (!agreed) return;
  try {
    await call("endLease", { params: { id: lease.id } });
    toast({ variant: "success", title: `Session of ${lease.username} ended` });
  } catch (error) {
    toastError(`Could not end the session of ${lease.username}`, error);
  }
}

interface Props {
  query: z.input<typeof LeaseQuery>;
  label: string;
  list?: ListQueryState;
}

/** Sessions that fit a query, live. */
export function SessionTable({ query, label, list }: Props) {
  const history = query.active === "false";
  const loaded = useLoad(JSON.stringify(query), (signal) => call("listLeases", { query, signal }));
  useEvents((event) => {
    if (event.type !== "lease") return;
    const known = loaded.value?.items.some((one) => one.id === event.lease.id);
    if (known && (event.lease.endedAt === null || history)) {
      loaded.change((page) => ({ ...page, items: replaceById(page.items, event.lease) }));
    } else loaded.reloadSoon();
  });
  const total = loaded.value?.total ?? 0;
  const [openId, setOpenId] = useState<string | null>(null);
  const all = [userColumn, desktopColumn(openId, setOpenId), ...columns];
  return (
    <>
      <DataTable
        label={label}
        loaded={loaded}
        {...(list ? { list } : {})}
        columns={history
          ? [...all.filter(({ title }) => title !== "Last sign of life"), ...endedColumns]
          : all}
        detail={(lease) =>
          lease.id === openId ? <Why lease={lease} /> : isLost(lease) ? lease.error?.message : null}
        nameOf={(lease) => `${lease.username} on ${lease.machine?.name ?? "no desktop"}`}
        actions={(lease) =>
          lease.endedAt !== null ? [] : [
            {
              title: "Open console",
              isDisabled: !lease.machine,
              onClick: () => lease.machine && openConsole(lease.machine),
            },
            { title: "End session", isDanger: true, onClick: () => void endSession(lease) },
          ]}
        empty={history
          ? { title: "No session has ended yet", text: "Who used which desktop shows here." }
          : { title: "Nobody is working", text: "Sessions show here as soon as users open their desktops." }}
      />
      {list && total > list.perPage && <ListPagination list={list} total={total} />}
    </>
  );
}
