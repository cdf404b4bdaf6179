import {
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  Grid,
  GridItem,
  Label,
  PageSection,
} from "@patternfly/react-core";
import type { HostFacts, Hypervisor } from "../../../contracts/hypervisor.ts";
import type { z } from "zod";
import { call } from "../../api.ts";
import { SelectField } from "../../components/field.tsx";
import { Facts } from "../../components/facts.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { Meter } from "../../components/meter.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Problem } from "../../components/problem.tsx";
import { HypervisorStateLabel } from "../../components/states.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, formatMiB, plural } from "../../format.ts";
import { navigate } from "../../router.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { isAdmin } from "../../stores/session.ts";
import { deleteHypervisor, setHypervisorMaintenance, updateHypervisor } from "./hypervisor_actions.ts";

/** One host: can it run machines, how busy is it, what does it have. */
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
  return (
    <>
      <PageHead
        title={hypervisor.name}
        trail={[{ href: "/hypervisors", text: "Hypervisors" }]}
        labels={
          <>
            <HypervisorStateLabel hypervisor={hypervisor} />
            {hypervisor.maintenance && <Label isCompact color="orange">Maintenance</Label>}
          </>
        }
        actions={isAdmin.value && <Actions hypervisor={hypervisor} />}
      />
      <PageSection isFilled>
        <StateAlert hypervisor={hypervisor} />
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
      </PageSection>
    </>
  );
}

function Actions({ hypervisor }: { hypervisor: Hypervisor }) {
  const forget = async () => {
    if (await deleteHypervisor(hypervisor)) navigate("/hypervisors");
  };
  return (
    <>
      <Button
        variant="secondary"
        onClick={() => void setHypervisorMaintenance(hypervisor, !hypervisor.maintenance)}
      >
        {hypervisor.maintenance ? "End maintenance" : "Set to maintenance"}
      </Button>
      <Button
        variant="secondary"
        isDanger
        isDisabled={hypervisor.machineCount > 0}
        onClick={() => void forget()}
      >
        Forget
      </Button>
    </>
  );
}

function StateAlert({ hypervisor }: { hypervisor: Hypervisor }) {
  if (hypervisor.state === "online") return null;
  return (
    <Alert
      isInline
      component="p"
      variant={hypervisor.state === "offline" ? "danger" : "warning"}
      title={`${hypervisor.name} is ${hypervisor.state}`}
      className="kv-gap-below"
    >
      {hypervisor.stateReason} (since <Time at={hypervisor.stateSince} />)
    </Alert>
  );
}

function LoadCard({ hypervisor }: { hypervisor: Hypervisor }) {
  const { load, facts } = hypervisor;
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

function StorageCard({ hypervisor }: { hypervisor: Hypervisor }) {
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

function FactsCard({ hypervisor }: { hypervisor: Hypervisor }) {
  const { facts } = hypervisor;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Facts</CardTitle>
      <CardBody>
        <Facts
          columns={1}
          items={{
            Address: hypervisor.address,
            Host: facts?.hostname ?? null,
            Processor: facts?.cpuModel ?? null,
            libvirt: facts?.libvirtVersion ?? null,
            QEMU: facts?.qemuVersion ?? null,
            Agent: `${hypervisor.agentVersion ?? "not seen yet"}${
              hypervisor.agentOutdated ? ", older than the dashboard: update it" : ""
            }`,
            State: (
              <>
                since <Time at={hypervisor.stateSince} />
              </>
            ),
            Added: <Time at={hypervisor.createdAt} />,
          }}
        />
      </CardBody>
    </Card>
  );
}

const kvmTexts: Record<z.infer<typeof HostFacts>["kvm"]["state"], string> = {
  works: "works",
  broken: "is there but does not work: guests are emulated, which is slow",
  absent: "is absent: guests are emulated, which is slow",
  untested: "was not tested",
};

function AbilitiesCard({ hypervisor }: { hypervisor: Hypervisor }) {
  const { facts } = hypervisor;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">What it can do</CardTitle>
      <CardBody>
        {facts
          ? (
            <div className="kv-stack">
              <Facts
                columns={1}
                items={{
                  Acceleration: `KVM ${kvmTexts[facts.kvm.state]}`,
                  "How we know": facts.kvm.detail,
                  "New machines": facts.domainType === "kvm" ? "use KVM" : "are emulated (qemu)",
                  Displays: facts.displays.map((one) => one.toUpperCase()).join(", ") || "none",
                }}
              />
              <NetworkField hypervisor={hypervisor} />
            </div>
          )
          : <Content component="p">Not known until its agent has answered once.</Content>}
      </CardBody>
    </Card>
  );
}

function NetworkField({ hypervisor }: { hypervisor: Hypervisor }) {
  const networks = hypervisor.facts?.networks ?? [];
  return (
    <SelectField
      id="default-network"
      label="Network of new machines"
      disabled={!isAdmin.value}
      value={hypervisor.defaultNetwork ?? ""}
      onChange={(value) => void updateHypervisor(hypervisor, { defaultNetwork: value || null })}
      options={[
        { value: "", label: "The first that is active" },
        ...networks.map(({ name, kind, active }) => ({
          value: kind === "bridge" ? `bridge:${name}` : name,
          label: `${name} (${kind}${active ? "" : ", not active"})`,
        })),
      ]}
    />
  );
}
