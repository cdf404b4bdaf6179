import { Alert, Button, PageSection, Tab, Tabs, TabTitleText } from "@patternfly/react-core";
import { useEffect, useState } from "preact/hooks";
import type { ReactNode } from "react";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { RowActions } from "../../components/data_table.tsx";
import { JobProgress } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Problem } from "../../components/problem.tsx";
import { Time } from "../../components/time.tsx";
import { location, navigate, setQuery } from "../../router.ts";
import { now } from "../../stores/clock.ts";
import { openJobs } from "../../stores/live.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { isAdmin } from "../../stores/session.ts";
import { setHypervisorMaintenance, stopDraining, updateAgents } from "./hypervisor_actions.ts";
import { HypervisorCapacity } from "./hypervisor_capacity.tsx";
import { HypervisorDialogs } from "./hypervisor_dialogs.tsx";
import { HypervisorHistory } from "./hypervisor_history.tsx";
import { HypervisorImport } from "./hypervisor_import.tsx";
import { HypervisorJobs } from "./hypervisor_jobs.tsx";
import { HypervisorLabels } from "./hypervisor_labels.tsx";
import { HypervisorMachines } from "./hypervisor_machines.tsx";
import { type HypervisorDialog, hypervisorMenu } from "./hypervisor_menu.ts";
import { HypervisorOverview } from "./hypervisor_overview.tsx";
import { HypervisorSettings } from "./hypervisor_settings.tsx";
import { drainWords, isDrained } from "./hypervisor_words.ts";

interface View {
  key: string;
  title: string;
  show: (hypervisor: Hypervisor) => ReactNode;
}

const views: View[] = [
  {
    key: "overview",
    title: "Overview",
    show: (hypervisor) => (
      <div className="kv-stack">
        <HypervisorOverview hypervisor={hypervisor} />
        <HypervisorHistory hypervisor={hypervisor} />
      </div>
    ),
  },
  { key: "machines", title: "Machines", show: (one) => <HypervisorMachines hypervisor={one} /> },
  { key: "capacity", title: "Capacity", show: (one) => <HypervisorCapacity hypervisor={one} /> },
  { key: "settings", title: "Settings", show: (one) => <HypervisorSettings hypervisor={one} /> },
  { key: "import", title: "Import", show: (one) => <HypervisorImport hypervisor={one} /> },
  { key: "jobs", title: "Jobs", show: (one) => <HypervisorJobs hypervisor={one} /> },
];

/** One host: can it run machines, how busy is it, what does it have, and how is it set up. */
export function HypervisorPage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getHypervisor", { params: { id }, signal }));
  useEvents((event) => {
    if (event.type === "hypervisor" && event.hypervisor.id === id) {
      loaded.change(() => ({ hypervisor: event.hypervisor }));
    }
  });
  if (loaded.error && !loaded.value) {
    return (
      <Problem title="The hypervisor could not be loaded" error={loaded.error} onRetry={loaded.reload} />
    );
  }
  const hypervisor = loaded.value?.hypervisor;
  if (!hypervisor) return <Waiting />;
  const wanted = location.value.query.get("tab");
  const view = views.find(({ key }) => key === wanted) ?? views[0]!;
  return <Shown hypervisor={hypervisor} view={view} />;
}

function Shown({ hypervisor, view }: { hypervisor: Hypervisor; view: View }) {
  const [dialog, setDialog] = useState<HypervisorDialog | null>(null);
  // On a narrow screen the tabs scroll, and the current one may be out of sight.
  useEffect(() => {
    const tab = document.querySelector<HTMLElement>(".kv-tabs .pf-m-current");
    if (tab?.parentElement) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft;
  }, [view]);
  return (
    <>
      <PageHead
        title={hypervisor.name}
        trail={[{ href: "/hypervisors", text: "Hypervisors" }]}
        labels={<HypervisorLabels hypervisor={hypervisor} />}
        actions={isAdmin.value && <Actions hypervisor={hypervisor} onDialog={setDialog} />}
      />
      <PageSection isFilled>
        <Remarks hypervisor={hypervisor} />
        <Tabs
          activeKey={view.key}
          onSelect={(_, key) => setQuery({ tab: key === "overview" ? null : key, hours: null })}
          aria-label={`About ${hypervisor.name}`}
          className="kv-tabs kv-gap-below"
        >
          {views.map(({ key, title }) => (
            <Tab
              key={key}
              eventKey={key}
              title={<TabTitleText>{title}</TabTitleText>}
              tabContentId={`view-${key}`}
            />
          ))}
        </Tabs>
        <section id={`view-${view.key}`} role="tabpanel" aria-label={view.title}>
          {view.show(hypervisor)}
        </section>
      </PageSection>
      <HypervisorDialogs dialog={dialog} onClose={() => setDialog(null)} />
    </>
  );
}

interface ActionsProps {
  hypervisor: Hypervisor;
  onDialog: (dialog: HypervisorDialog) => void;
}

function Actions({ hypervisor, onDialog }: ActionsProps) {
  return (
    <>
      {hypervisor.maintenance
        ? (
          <Button variant="secondary" onClick={() => void setHypervisorMaintenance(hypervisor, false)}>
            End maintenance
          </Button>
        )
        : <Button variant="secondary" onClick={() => onDialog({ kind: "drain", hypervisor })}>Drain…</Button>}
      <RowActions
        items={hypervisorMenu(hypervisor, { onDialog, onDeleted: () => navigate("/hypervisors") })}
        name={hypervisor.name}
      />
    </>
  );
}

/** What is not as it should be, each with its remedy. */
function Remarks({ hypervisor }: { hypervisor: Hypervisor }) {
  const job = openJobs.value.find(({ id }) => id === hypervisor.jobId);
  return (
    <div className="kv-alerts">
      <StateAlert hypervisor={hypervisor} />
      <DrainAlert hypervisor={hypervisor} />
      {job && <JobProgress job={job} />}
      {!job && <OutdatedAlert hypervisor={hypervisor} />}
    </div>
  );
}

function StateAlert({ hypervisor }: { hypervisor: Hypervisor }) {
  const { name, state, stateReason, stateSince, ssh } = hypervisor;
  if (state === "online") return null;
  return (
    <Alert
      isInline
      component="p"
      variant={state === "offline" ? "danger" : "warning"}
      title={`${name} is ${state}`}
      actionLinks={isAdmin.value && ssh
        ? (
          <Button variant="link" isInline onClick={() => setQuery({ tab: "settings" })}>
            Check address and host key
          </Button>
        )
        : undefined}
    >
      {stateReason} (since <Time at={stateSince} />)
    </Alert>
  );
}

function DrainAlert({ hypervisor }: { hypervisor: Hypervisor }) {
  const { drain, name } = hypervisor;
  if (!drain) return null;
  return (
    <Alert
      isInline
      component="p"
      variant={isDrained(drain) ? "success" : "warning"}
      title={isDrained(drain) ? `${name} is drained` : `${name} is being drained`}
      actionLinks={isAdmin.value && !isDrained(drain)
        ? (
          <Button variant="link" isInline onClick={() => void stopDraining(hypervisor)}>
            Stop draining, stay in maintenance
          </Button>
        )
        : undefined}
    >
      {drainWords(drain, now.value)}
    </Alert>
  );
}

function OutdatedAlert({ hypervisor }: { hypervisor: Hypervisor }) {
  const { agentOutdated, state, agentVersion } = hypervisor;
  if (!agentOutdated || state === "offline") return null;
  return (
    <Alert
      isInline
      component="p"
      variant="warning"
      title="Its agent is out of date"
      actionLinks={isAdmin.value
        ? (
          <Button variant="link" isInline onClick={() => void updateAgents([hypervisor])}>
            Update agent
          </Button>
        )
        : undefined}
    >
      It runs{" "}
      {agentVersion ?? "an unknown version"}, not this dashboard's own program. Updating does not touch
      guests.
    </Alert>
  );
}
