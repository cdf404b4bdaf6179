import { Button, Label, PageSection } from "@patternfly/react-core";
import BanIcon from "@patternfly/react-icons/dist/esm/icons/ban-icon";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import { AuditEntry } from "../../../contracts/settings.ts";
import { call } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { formatExact } from "../../format.ts";
import { setFilter, useListQuery } from "../../stores/list_query.ts";
import { useEvents, useLoad } from "../../stores/load.ts";

const outcomes = {
  ok: <Label isCompact color="green" icon={<CheckCircleIcon />}>Done</Label>,
  refused: <Label isCompact color="orange" icon={<BanIcon />}>Refused</Label>,
  failed: <Label isCompact color="red" icon={<ExclamationCircleIcon />}>Failed</Label>,
};
const outcomeTexts = { ok: "Done", refused: "Refused", failed: "Failed" };

function FilterLink({ name, value }: { name: string; value: string }) {
  return (
    <Button variant="link" isInline onClick={() => setFilter(name, value)} aria-label={`Only ${value}`}>
      {value}
    </Button>
  );
}

const columns: Column<AuditEntry>[] = [
  {
    title: "When",
    nowrap: true,
    render: (entry) => <time dateTime={new Date(entry.at).toISOString()}>{formatExact(entry.at)}</time>,
  },
  {
    title: "Who",
    render: (entry) =>
      entry.actor
        ? <FilterLink name="actor" value={entry.actor} />
        : <span className="kv-quiet">the dashboard</span>,
  },
  { title: "What", render: (entry) => <FilterLink name="action" value={entry.action} /> },
  { title: "On", render: (entry) => entry.subjectName ?? "" },
  { title: "Outcome", render: (entry) => outcomes[entry.outcome] },
  { title: "From", minor: true, render: (entry) => entry.address ?? "" },
  { title: "Detail", minor: true, render: (entry) => entry.detail ?? "" },
];

/** Who did what, newest first. */
export function AuditPage() {
  const list = useListQuery();
  const outcome = AuditEntry.shape.outcome.safeParse(list.filter("outcome")).data;
  const actor = list.filter("actor");
  const action = list.filter("action");
  const query = {
    ...list.paging,
    ...(outcome ? { outcome } : {}),
    ...(actor ? { actor } : {}),
    ...(action ? { action } : {}),
  };
  const loaded = useLoad(JSON.stringify(query), (signal) => call("listAudit", { query, signal }));
  useEvents((event) => event.type === "audit" && list.page === 1 && loaded.reloadSoon());
  return (
    <>
      <PageHead title="Audit" />
      <PageSection isFilled>
        <ListToolbar
          list={list}
          total={loaded.value?.total}
          search="User, action or object"
          filters={[{
            name: "outcome",
            title: "Outcome",
            options: AuditEntry.shape.outcome.options.map((value) => ({ value, text: outcomeTexts[value] })),
          }]}
        />
        {(actor || action) && (
          <p className="kv-labels kv-gap-below">
            {actor && (
              <Label onClose={() => setFilter("actor", "")} closeBtnAriaLabel="Any user">Who: {actor}</Label>
            )}
            {action && (
              <Label onClose={() => setFilter("action", "")} closeBtnAriaLabel="Any action">
                What: {action}
              </Label>
            )}
          </p>
        )}
        <DataTable
          label="Audit"
          loaded={loaded}
          list={list}
          columns={columns}
          nameOf={(entry) => entry.action}
          empty={{ title: "Nothing yet", text: "Every change and every sign-in is written down here." }}
        />
        {(loaded.value?.total ?? 0) > list.perPage && (
          <ListPagination list={list} total={loaded.value?.total ?? 0} />
        )}
      </PageSection>
    </>
  );
}
