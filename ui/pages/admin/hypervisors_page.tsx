import { Button, PageSection } from "@patternfly/react-core";
import PlusIcon from "@patternfly/react-icons/dist/esm/icons/plus-icon";
import { useState } from "preact/hooks";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { DataTable } from "../../components/data_table.tsx";
import { ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Time } from "../../components/time.tsx";
import { now } from "../../stores/clock.ts";
import { useListQuery } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { hypervisors } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { updateAgents } from "./hypervisor_actions.ts";
import { hypervisorColumns } from "./hypervisor_columns.tsx";
import { HypervisorDialogs } from "./hypervisor_dialogs.tsx";
import { type HypervisorDialog, hypervisorMenu } from "./hypervisor_menu.ts";
import { drainWords } from "./hypervisor_words.ts";

/** The hosts that run machines: state, load, capacity and space. */
export function HypervisorsPage() {
  const [dialog, setDialog] = useState<HypervisorDialog | null>(null);
  const list = useListQuery();
  const query = { limit: 500, ...(list.q ? { q: list.q } : {}) };
  const loaded = useLoad(
    `hypervisors ${list.q}`,
    (signal) => call("listHypervisors", { query, signal }),
  );
  useEvents((event) => {
    if (event.type === "hypervisor") {
      const known = loaded.value?.items.some((one) => one.id === event.hypervisor.id);
      if (known) loaded.change((page) => ({ ...page, items: replaceById(page.items, event.hypervisor) }));
      else loaded.reloadSoon();
    }
    if (event.type === "hypervisor-removed") loaded.reloadSoon();
  });
  const add = <Button component="a" href="/hypervisors/new" icon={<PlusIcon />}>Add hypervisor</Button>;
  const narrowed = { ...list, narrowed: list.q !== "" };
  return (
    <>
      <PageHead
        title="Hypervisors"
        actions={isAdmin.value && (
          <>
            <UpdateAllButton />
            {add}
          </>
        )}
      />
      <PageSection isFilled>
        <ListToolbar list={narrowed} total={undefined} search="Name or address" />
        <DataTable
          label="Hypervisors"
          loaded={loaded}
          list={narrowed}
          columns={hypervisorColumns}
          nameOf={(one) => one.name}
          detail={(one) => needsRemarks(one) && <Remarks hypervisor={one} />}
          actions={(one) => isAdmin.value ? hypervisorMenu(one, { onDialog: setDialog }) : []}
          empty={{
            title: "No hypervisors",
            text:
              "A hypervisor is a Linux host with libvirt. Add this host, or any that you can reach over SSH.",
            action: isAdmin.value && add,
          }}
        />
      </PageSection>
      <HypervisorDialogs dialog={dialog} onClose={() => setDialog(null)} />
    </>
  );
}

function UpdateAllButton() {
  const outdated = hypervisors.value.filter(({ agentOutdated, state, jobId }) =>
    agentOutdated && state !== "offline" && jobId === null
  );
  if (outdated.length === 0) return null;
  return (
    <Button variant="secondary" onClick={() => void updateAgents(outdated)}>
      Update all agents ({outdated.length})
    </Button>
  );
}

const needsRemarks = ({ state, drain }: Hypervisor) => state !== "online" || drain !== null;

/** Why a host is not as it should be, since when; or how far it is emptied. */
function Remarks({ hypervisor }: { hypervisor: Hypervisor }) {
  const { state, stateReason, stateSince, drain } = hypervisor;
  return (
    <div className="kv-remarks">
      {state !== "online" && (
        <span>
          {stateReason ?? `The hypervisor is ${state}.`}{" "}
          <span className="kv-quiet">
            Since <Time at={stateSince} />.
          </span>
        </span>
      )}
      {drain && <span>{drainWords(drain, now.value)}</span>}
    </div>
  );
}
