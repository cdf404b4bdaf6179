import {
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  Grid,
  GridItem,
  PageSection,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Machine } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { RowActions } from "../../components/data_table.tsx";
import { Facts } from "../../components/facts.tsx";
import { CancelJobButton, JobProgress } from "../../components/job_progress.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Problem } from "../../components/problem.tsx";
import { MachineFlags, MachineStateLabel, RoleLabel } from "../../components/states.tsx";
import { Thumbnail } from "../../components/thumbnail.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, formatMiB, plural } from "../../format.ts";
import { navigate } from "../../router.ts";
import { openJobOf } from "../../stores/live.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { openConsole, openInViewer } from "../../stores/machine_actions.ts";
import { hypervisorName } from "../../stores/places.ts";
import { MachineDisks } from "./machine_disks.tsx";
import { MachineEditDialog } from "./machine_edit_dialog.tsx";
import { MachineHistory, MachineXml } from "./machine_history.tsx";
import { machineMenu } from "./machine_menu.ts";
import { MachineFamily } from "./machine_family.tsx";
import { PowerButtons } from "./power_buttons.tsx";

/** Everything about one machine, and everything that can be done to it. */
export function MachinePage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getMachine", { params: { id }, signal }));
  const [removed, setRemoved] = useState(false);
  const [editing, setEditing] = useState(false);
  useEvents((event) => {
    if (event.type === "machine" && event.machine.id === id) {
      loaded.change(() => ({ machine: event.machine }));
    }
    if (event.type === "machine-removed" && event.id === id) setRemoved(true);
  });
  if (loaded.error && !loaded.value) {
    return <Problem title="The machine could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
  }
  const machine = loaded.value?.machine;
  if (!machine) return <Waiting />;
  return (
    <>
      <PageHead
        title={machine.name}
        trail={[{ href: "/machines", text: "Machines" }]}
        labels={
          <>
            <RoleLabel role={machine.role} />
            <MachineStateLabel machine={machine} />
            <MachineFlags machine={machine} />
          </>
        }
        actions={
          <>
            <PowerButtons machine={machine} />
            <Button variant="secondary" onClick={() => setEditing(true)}>Edit</Button>
            <RowActions items={machineMenu(machine, () => navigate("/machines"))} name={machine.name} />
          </>
        }
      />
      <PageSection isFilled>
        {removed && (
          <Alert variant="warning" isInline title={`${machine.name} was deleted`} className="kv-gap-below">
            <a href="/machines">All machines</a>
          </Alert>
        )}
        <OpenJob machine={machine} />
        <Grid hasGutter>
          <GridItem lg={5}>
            <ScreenCard machine={machine} />
          </GridItem>
          <GridItem lg={7}>
            <FactsCard machine={machine} />
          </GridItem>
          <GridItem lg={6}>
            <MachineDisks machine={machine} />
          </GridItem>
          <GridItem lg={6}>
            <MachineFamily machine={machine} />
          </GridItem>
          <GridItem>
            <MachineHistory machine={machine} />
          </GridItem>
          <GridItem>
            <MachineXml machine={machine} />
          </GridItem>
        </Grid>
      </PageSection>
      {editing && <MachineEditDialog machine={machine} onClose={() => setEditing(false)} />}
    </>
  );
}

function OpenJob({ machine }: { machine: Machine }) {
  const job = openJobOf(machine);
  if (!job) return null;
  return (
    <div className="kv-job-line kv-gap-below">
      <JobProgress job={job} />
      <CancelJobButton job={job} />
    </div>
  );
}

function ScreenCard({ machine }: { machine: Machine }) {
  const running = machine.state === "running";
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Screen</CardTitle>
      <CardBody>
        {running
          ? (
            <button
              type="button"
              className="kv-picture-button"
              onClick={() => openConsole(machine)}
              aria-label={`Open the console of ${machine.name}`}
            >
              <Thumbnail machine={machine} refreshMs={3000} className="kv-picture" />
            </button>
          )
          : <Thumbnail machine={machine} className="kv-picture" />}
        <div className="kv-actions kv-gap-above">
          <Button isDisabled={!running} onClick={() => openConsole(machine)}>Open console</Button>
          <Button variant="secondary" isDisabled={!running} onClick={() => void openInViewer(machine)}>
            Open in viewer
          </Button>
          {machine.viewers > 0 && <span className="kv-quiet">{plural(machine.viewers, "open display")}</span>}
        </div>
        {!running && <Content component="small">Start the machine to see its screen.</Content>}
      </CardBody>
    </Card>
  );
}

function FactsCard({ machine }: { machine: Machine }) {
  const pools = machine.desktopPools.map((pool, index) => (
    <span key={pool.id}>
      {index > 0 && ", "}
      <a href={`/desktop-pools/${pool.id}`}>{pool.name}</a>
    </span>
  ));
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Facts</CardTitle>
      <CardBody>
        <Facts
          items={{
            User: machine.lease
              ? (
                <>
                  <a href={`/users/${machine.lease.userId}`}>{machine.lease.username}</a>, since{" "}
                  <Time at={machine.lease.since} />
                </>
              )
              : machine.role === "vdi"
              ? "nobody"
              : null,
            "Desktop pools": pools.length ? pools : machine.role === "vdi" ? "none" : null,
            Hypervisor: (
              <a href={`/hypervisors/${machine.hypervisorId}`}>{hypervisorName(machine.hypervisorId)}</a>
            ),
            System: machine.osType === "windows" ? "Windows" : "Linux",
            vCPUs: cpuText(machine),
            Memory: memoryText(machine),
            Disk: formatBytes(machine.diskBytes),
            "Data disk": dataDiskText(machine),
            "Image version": machine.role === "vdi" || machine.role === "initial"
              ? <VersionFact machine={machine} />
              : null,
            Network: machine.network,
            MAC: machine.mac ? <code>{machine.mac}</code> : "–",
            Addresses: machine.addresses.join(", ") || "–",
            "Guest agent": machine.guestAgent ? "answers" : "no answer",
            Video: machine.video,
            ISO: machine.iso ? <span className="kv-path">{machine.iso}</span> : "none",
            Populated: machine.role === "vdi" ? <Time at={machine.populatedAt} /> : null,
            State: machine.stateReason,
            "Kept for": machine.keptFor && (
              <>
                <a href={`/users/${machine.keptFor.userId}`}>{machine.keptFor.username}</a>, until{" "}
                <Time at={machine.keptFor.until} />
              </>
            ),
            Start: machine.queuedStart === null
              ? null
              : `waits for its hypervisor: place ${machine.queuedStart} in the queue`,
            Created: <Time at={machine.createdAt} />,
          }}
        />
        {machine.notes && <p className="kv-notes">{machine.notes}</p>}
      </CardBody>
    </Card>
  );
}

/** Which version of the image the machine is on, and when it moves if that is not the current one. */
function VersionFact({ machine }: { machine: Machine }) {
  const { imageVersion, role, outdated, lease } = machine;
  if (!imageVersion) return <>–</>;
  const image = role === "initial" ? machine.id : machine.sourceId;
  const words = !outdated
    ? role === "vdi" ? ", the current one" : ""
    : lease
    ? `; it moves to the current one when ${lease.username} leaves`
    : "; it moves to the current one when it is populated";
  return (
    <>
      <a href={`/images/${image}`}>version {imageVersion.number}</a>
      {words}
    </>
  );
}

function dataDiskText({ dataDisk, role, lease }: Machine): string | null {
  if (!dataDisk) return role === "vdi" ? "none" : null;
  const owner = dataDisk.scope === "machine" ? "the machine's" : lease ? `of ${lease.username}` : "a user's";
  return `${formatBytes(dataDisk.bytes)}, ${owner}`;
}

const cpuText = ({ vcpus, cpuPercent }: Machine) =>
  cpuPercent === null ? String(vcpus) : `${vcpus}, ${Math.round(cpuPercent)} % busy`;
const memoryText = ({ memoryMiB, memoryUsedMiB }: Machine) =>
  memoryUsedMiB === null
    ? formatMiB(memoryMiB)
    : `${formatMiB(memoryUsedMiB)} of ${formatMiB(memoryMiB)} used`;
