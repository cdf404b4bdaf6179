import { Card, CardBody, CardTitle, Content, Grid, GridItem } from "@patternfly/react-core";
import type { HostFacts, Hypervisor } from "../../../contracts/hypervisor.ts";
import { Facts } from "../../components/facts.tsx";
import { Meter } from "../../components/meter.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, formatDuration, formatExact, formatMiB, plural } from "../../format.ts";
import { now } from "../../stores/clock.ts";
import { committedMemory } from "./hypervisor_words.ts";

interface Props {
  hypervisor: Hypervisor;
}

/** A host at a glance: load, space, what it is and what it can. */
export function HypervisorOverview({ hypervisor }: Props) {
  return (
    <Grid hasGutter>
      <GridItem lg={6}>
        <LoadCard hypervisor={hypervisor} />
      </GridItem>
      <GridItem lg={6}>
        <StorageCard hypervisor={hypervisor} />
      </GridItem>
      <GridItem lg={6}>
        <FactsCard hypervisor={hypervisor} />
      </GridItem>
      <GridItem lg={6}>
        <AbilitiesCard hypervisor={hypervisor} />
      </GridItem>
    </Grid>
  );
}

function LoadCard({ hypervisor }: Props) {
  const { load, facts } = hypervisor;
  const given = committedMemory(hypervisor);
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Load</CardTitle>
      <CardBody>
        {load && facts
          ? (
            <div className="kv-stack">
              <Meter
                label={`CPU (${plural(facts.cpus, "processor")})`}
                percent={load.cpuPercent}
                text={`${Math.round(load.cpuPercent)} %, load ${load.load1.toFixed(1)}`}
              />
              <Meter
                label="Memory"
                percent={load.memoryUsedMiB / facts.memoryMiB * 100}
                text={`${formatMiB(load.memoryUsedMiB)} of ${formatMiB(facts.memoryMiB)}`}
              />
              {given && (
                <Meter label="Given to machines" percent={given.percent} text={given.text} warnPercent={95} />
              )}
              <a href={`/machines?hypervisorId=${hypervisor.id}`}>
                {plural(hypervisor.machineCount, "machine")}, {hypervisor.runningCount.toLocaleString("en")}
                {" "}
                running
              </a>
            </div>
          )
          : <Content component="p">Not known while the hypervisor is {hypervisor.state}.</Content>}
      </CardBody>
    </Card>
  );
}

const storageTexts = { images: "Images", iso: "ISO images", scratch: "Virtual snapshots" };

function StorageCard({ hypervisor }: Props) {
  const storage = hypervisor.load?.storage ?? hypervisor.facts?.storage ?? [];
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Storage</CardTitle>
      <CardBody>
        <div className="kv-stack">
          {storage.length === 0 && <Content component="p">Not known yet.</Content>}
          {storage.map((path) => (
            <div key={path.kind + path.path}>
              <Meter
                label={storageTexts[path.kind]}
                percent={(1 - path.freeBytes / Math.max(1, path.totalBytes)) * 100}
                text={`${formatBytes(path.freeBytes)} free of ${formatBytes(path.totalBytes)}`}
              />
              <span className="kv-path kv-quiet">{path.path}</span>
            </div>
          ))}
        </div>
      </CardBody>
    </Card>
  );
}

function addressOf({ ssh, socketPath }: Hypervisor): string {
  if (!ssh) return `this host, ${socketPath}`;
  return `${ssh.username}@${ssh.address}${ssh.port === 22 ? "" : `, port ${ssh.port}`}`;
}

const serviceTexts: Record<HostFacts["serviceManager"], string> = {
  systemd: "systemd, also after a restart of the host",
  dashboard: "the dashboard on this host",
  none: "nobody: start the agent yourself after a restart of the host",
};

function FactsCard({ hypervisor }: Props) {
  const { facts, agentVersion, agentCommit, agentOutdated } = hypervisor;
  const agent = agentVersion
    ? `${agentVersion}${agentCommit ? ` (${agentCommit.slice(0, 7)})` : ""}`
    : "not seen yet";
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Facts</CardTitle>
      <CardBody>
        <Facts
          columns={1}
          items={{
            Address: addressOf(hypervisor),
            Host: facts?.hostname ?? null,
            Processor: facts?.cpuModel ?? null,
            libvirt: facts?.libvirtVersion ?? null,
            QEMU: facts?.qemuVersion ?? null,
            Agent: agentOutdated ? `${agent}, out of date` : agent,
            "Started by": facts && serviceTexts[facts.serviceManager],
            Displays: hypervisor.displayAddress
              ? `native viewers connect to ${hypervisor.displayAddress}`
              : "through the gateway",
            State: (
              <span title={formatExact(hypervisor.stateSince)}>
                {hypervisor.state} for {formatDuration(now.value - hypervisor.stateSince)}
              </span>
            ),
            Added: <Time at={hypervisor.createdAt} />,
          }}
        />
      </CardBody>
    </Card>
  );
}

const kvmTexts: Record<HostFacts["kvm"]["state"], string> = {
  works: "works",
  broken: "is there but does not work: guests are emulated, which is slow",
  absent: "is absent: guests are emulated, which is slow",
  untested: "was not tested",
};

function AbilitiesCard({ hypervisor }: Props) {
  const { facts } = hypervisor;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">What it can do</CardTitle>
      <CardBody>
        {facts
          ? (
            <Facts
              columns={1}
              items={{
                Acceleration: `KVM ${kvmTexts[facts.kvm.state]}`,
                "How we know": facts.kvm.detail,
                "New machines": facts.domainType === "kvm" ? "use KVM" : "are emulated (qemu)",
                Displays: facts.displays.map((one) => one.toUpperCase()).join(", ") || "none",
                Networks:
                  facts.networks.map(({ name, active }) => active ? name : `${name} (not active)`).join(
                    ", ",
                  ) ||
                  "none",
              }}
            />
          )
          : <Content component="p">Not known until its agent has answered once.</Content>}
      </CardBody>
    </Card>
  );
}
