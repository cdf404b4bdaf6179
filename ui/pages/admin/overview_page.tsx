import { Card, CardBody, CardTitle, Content, Grid, GridItem, PageSection } from "@patternfly/react-core";
import type { ReactNode } from "react";
import { isOpenJob } from "../../../contracts/job.ts";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import type { Overview } from "../../../contracts/settings.ts";
import { call } from "../../api.ts";
import { CancelJobButton, JobProgress, jobTitle } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { Meter } from "../../components/meter.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { PoolBar } from "../../components/pool_bar.tsx";
import { Time } from "../../components/time.tsx";
import { WarningList } from "../../components/warning_list.tsx";
import { formatBytes, formatMiB, plural } from "../../format.ts";
import { now } from "../../stores/clock.ts";
import { openJobs, overview } from "../../stores/live.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { desktopPools, hypervisors, placesLoaded } from "../../stores/places.ts";
import { isFirstDesktopDone } from "./first_desktop.ts";
import { FirstDesktopGuide } from "./first_desktop_guide.tsx";
import { HypervisorLabels } from "./hypervisor_labels.tsx";
import { drainWords } from "./hypervisor_words.ts";

/** Can my users work right now? */
export function OverviewPage() {
  const counts = overview.value;
  return (
    <>
      <PageHead title="Overview" />
      <PageSection isFilled>
        {counts
          ? (
            <div className="kv-stack">
              {!isFirstDesktopDone(counts) && <FirstDesktopGuide overview={counts} />}
              <Numbers counts={counts} />
              <Grid hasGutter>
                <GridItem xl={7}>
                  <PoolsCard />
                </GridItem>
                <GridItem xl={5}>
                  <Card isFullHeight>
                    <CardTitle component="h2">Needs attention</CardTitle>
                    <CardBody>
                      <WarningList warnings={counts.warnings} />
                    </CardBody>
                  </Card>
                </GridItem>
                <GridItem xl={7}>
                  <HypervisorsCard />
                </GridItem>
                <GridItem xl={5}>
                  <JobsCard />
                </GridItem>
              </Grid>
            </div>
          )
          : <Waiting />}
      </PageSection>
    </>
  );
}

function Numbers({ counts }: { counts: Overview }) {
  const { desktops, machines } = counts;
  return (
    <div className="kv-numbers">
      <BigNumber href="/sessions" value={desktops.inUse} text="desktops in use" />
      <BigNumber href="/sessions?state=preparing" value={desktops.starting} text="starting" />
      <BigNumber
        href="/desktop-pools"
        value={desktops.free}
        text={`free of ${desktops.total.toLocaleString("en")}`}
      />
      <BigNumber
        href="/machines?state=running"
        value={machines.running}
        text={`of ${plural(machines.total, "machine")} on`}
      />
      <BigNumber href="/jobs?open=true" value={counts.runningJobs} text="jobs running" />
      <BigNumber
        href="/jobs?state=failed"
        value={counts.failedJobs24h}
        text="jobs failed today"
        bad={counts.failedJobs24h > 0}
      />
    </div>
  );
}

function BigNumber(props: { href: string; value: number; text: string; bad?: boolean }) {
  return (
    <a className={props.bad ? "kv-number kv-bad" : "kv-number"} href={props.href}>
      <strong>{props.value.toLocaleString("en")}</strong>
      <span>{props.text}</span>
    </a>
  );
}

function PoolsCard() {
  return (
    <SectionCard title="Desktop pools" href="/desktop-pools">
      {desktopPools.value.length === 0 && (
        <Content component="p">No desktop pool yet. A pool is what users see and click.</Content>
      )}
      {desktopPools.value.map((pool) => (
        <div key={pool.id} className="kv-line">
          <a href={`/desktop-pools/${pool.id}`}>{pool.name}</a>
          {!pool.enabled && <span className="kv-quiet">(switched off)</span>}
          <PoolBar counts={pool.counts} />
        </div>
      ))}
    </SectionCard>
  );
}

const shownHypervisors = 8;
const ranks = { offline: 0, degraded: 1, online: 3 };
/** Those that need attention come first, then those that change. */
const rankOf = ({ state, drain, agentOutdated }: Hypervisor) =>
  Math.min(ranks[state], drain || agentOutdated ? 2 : 3);

function HypervisorsCard() {
  const sorted = [...hypervisors.value].sort((a, b) => rankOf(a) - rankOf(b) || a.name.localeCompare(b.name));
  return (
    <SectionCard title="Hypervisors" href="/hypervisors">
      {placesLoaded.value && sorted.length === 0 && (
        <Content component="p">
          No hypervisor yet: nothing can run. <a href="/hypervisors/new">Add a hypervisor</a>
        </Content>
      )}
      {sorted.slice(0, shownHypervisors).map((one) => <HypervisorLine key={one.id} hypervisor={one} />)}
      {sorted.length > shownHypervisors && (
        <a href="/hypervisors">All {sorted.length.toLocaleString("en")} hypervisors</a>
      )}
    </SectionCard>
  );
}

function HypervisorLine({ hypervisor }: { hypervisor: Hypervisor }) {
  const { load, facts } = hypervisor;
  const images = load?.storage.find((one) => one.kind === "images");
  return (
    <div className="kv-line">
      <span className="kv-labels">
        <a href={`/hypervisors/${hypervisor.id}`}>{hypervisor.name}</a>
        <HypervisorLabels hypervisor={hypervisor} />
        <span className="kv-quiet">{plural(hypervisor.runningCount, "machine")} running</span>
      </span>
      <HypervisorRemedy hypervisor={hypervisor} />
      {load && facts
        ? (
          <div className="kv-meters">
            <Meter label="CPU" percent={load.cpuPercent} text={`${Math.round(load.cpuPercent)} %`} />
            <Meter
              label="Memory"
              percent={load.memoryUsedMiB / facts.memoryMiB * 100}
              text={`${formatMiB(load.memoryUsedMiB)} of ${formatMiB(facts.memoryMiB)}`}
            />
            {images && (
              <Meter
                label="Images"
                percent={(1 - images.freeBytes / images.totalBytes) * 100}
                text={`${formatBytes(images.freeBytes)} free`}
              />
            )}
          </div>
        )
        : null}
    </div>
  );
}

/** What is wrong with a host or goes on there, since when, and where to do something about it. */
function HypervisorRemedy({ hypervisor }: { hypervisor: Hypervisor }) {
  const { id, state, stateReason, stateSince, drain, agentOutdated } = hypervisor;
  return (
    <>
      {state !== "online" && (
        <Content component="small">
          {stateReason ?? `It is ${state}.`} Since <Time at={stateSince} />.{" "}
          <a href={`/hypervisors/${id}`}>See what to do</a>
        </Content>
      )}
      {drain && (
        <Content component="small">
          {drainWords(drain, now.value)} <a href={`/hypervisors/${id}`}>Show</a>
        </Content>
      )}
      {agentOutdated && state !== "offline" && (
        <Content component="small">
          <a href={`/hypervisors/${id}`}>Update its agent</a>
        </Content>
      )}
    </>
  );
}

function JobsCard() {
  const failed = useLoad(
    "failed-jobs",
    (signal) => call("listJobs", { query: { state: "failed", limit: 5 }, signal }),
  );
  useEvents((event) => event.type === "job" && !isOpenJob(event.job) && failed.reloadSoon());
  const open = openJobs.value.slice(0, 5);
  const items = failed.value?.items ?? [];
  return (
    <SectionCard title="Jobs" href="/jobs">
      {open.length === 0 && <Content component="p">No job is running.</Content>}
      {open.map((job) => (
        <div key={job.id} className="kv-job-line">
          <JobProgress job={job} />
          <CancelJobButton job={job} />
        </div>
      ))}
      {items.length > 0 && <h3 className="kv-subhead">Failed lately</h3>}
      {items.map((job) => (
        <p key={job.id} className="kv-failed-job">
          <a href={`/jobs?job=${job.id}`}>{jobTitle(job)}</a>{" "}
          <span className="kv-quiet">
            <Time at={job.endedAt ?? job.createdAt} />
          </span>
          <br />
          {job.error?.message}
        </p>
      ))}
    </SectionCard>
  );
}

function SectionCard({ title, href, children }: { title: string; href: string; children: ReactNode }) {
  return (
    <Card isFullHeight>
      <CardTitle component="h2">
        <a href={href}>{title}</a>
      </CardTitle>
      <CardBody>
        <div className="kv-stack">{children}</div>
      </CardBody>
    </Card>
  );
}
