import { Card, CardBody, CardTitle, Content, Label, Skeleton } from "@patternfly/react-core";
import type { z } from "zod";
import type { DiskLayer, Machine, MachineDisk } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { InlineProblem } from "../../components/problem.tsx";
import { formatBytes } from "../../format.ts";
import { useLoad } from "../../stores/load.ts";

type Layer = z.infer<typeof DiskLayer>;

const layerWords: Record<Layer["kind"], { title: string; help: string }> = {
  scratch: { title: "Virtual snapshot", help: "takes what is written now; dropped at power off" },
  overlay: { title: "Overlay", help: "what this machine wrote since it was populated" },
  image: { title: "Image", help: "the whole disk" },
  missing: { title: "Missing", help: "the file is not there: the machine can't start" },
};

/** The machine's disks, each drawn as its chain of files from the layer that is written to down to the base. */
export function MachineDisks({ machine }: { machine: Machine }) {
  const key = [
    machine.id,
    machine.state,
    machine.populatedAt,
    machine.jobId,
    machine.iso,
    machine.imageVersion?.id,
    machine.dataDisk?.bytes,
    machine.diskBytes,
    machine.hypervisorId,
  ].join(" ");
  const loaded = useLoad(key, (signal) => call("getMachineDisks", { params: { id: machine.id }, signal }));
  const disks = loaded.value?.items;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Disks</CardTitle>
      <CardBody>
        {loaded.error
          ? <InlineProblem title="The disks could not be read" error={loaded.error} onRetry={loaded.reload} />
          : null}
        {!disks && !loaded.error && <Skeleton height="8rem" screenreaderText="Loading disks" />}
        {disks?.length === 0 && <Content component="p">{noDisks(machine)}</Content>}
        {disks?.map((disk) => <Chain key={disk.target} disk={disk} machine={machine} />)}
      </CardBody>
    </Card>
  );
}

function noDisks({ role }: Machine): string {
  if (role === "initial") return "No disk yet: copy it from the source.";
  if (role === "vdi") return "No disk yet: populate the machine.";
  return "This machine has no disk.";
}

function Chain({ disk, machine }: { disk: MachineDisk; machine: Machine }) {
  const what = disk.device === "cdrom" ? "CD-ROM" : isDataDisk(disk) ? "Data disk" : "Disk";
  return (
    <figure className="kv-chain">
      <figcaption>
        {what} <code>{disk.target}</code> <span className="kv-quiet">{disk.bus}</span>
      </figcaption>
      {disk.chain.length === 0 && <span className="kv-quiet">empty</span>}
      <ol>
        {disk.chain.map((layer, index) => (
          <li key={layer.path} className={`kv-layer kv-layer-${layer.kind}`}>
            <LayerTitle layer={layer} isBase={index > 0} machine={machine} disk={disk} />
            <span className="kv-path">{layer.path}</span>
            {layer.kind !== "missing" && (
              <small>
                {layer.format}, {formatBytes(layer.allocatedBytes)} used of {formatBytes(layer.virtualBytes)}
              </small>
            )}
          </li>
        ))}
      </ol>
    </figure>
  );
}

/** The agent gives personal data disks this ending. */
const isDataDisk = (disk: MachineDisk) => disk.chain[0]?.path.endsWith(".data.qcow2") ?? false;

interface LayerProps {
  layer: Layer;
  isBase: boolean;
  machine: Machine;
  disk: MachineDisk;
}

function LayerTitle(props: LayerProps) {
  const { layer } = props;
  const { title, help, href } = wordsOf(props);
  const color = layer.kind === "missing" ? "red" : href ? "teal" : "blue";
  return (
    <span className="kv-labels">
      <Label isCompact variant="outline" color={color} {...(href ? { href } : {})}>{title}</Label>
      {help && <span className="kv-quiet">{help}</span>}
    </span>
  );
}

function wordsOf(
  { layer, isBase, machine, disk }: LayerProps,
): { title: string; help: string; href?: string } {
  if (layer.kind === "missing") return layerWords.missing;
  if (disk.device === "cdrom") return { title: "ISO image", help: "" };
  if (isDataDisk(disk)) {
    return { title: "Personal data", help: "stays through populate and virtual snapshots" };
  }
  const number = machine.imageVersion?.number;
  if (isBase && layer.kind === "image" && machine.role === "vdi") {
    return {
      title: number === undefined ? "Image of the initial" : `Version ${number} of the image`,
      help: machine.outdated ? "read only; not the current one" : "read only; shared by all desktops on it",
      href: `/images/${machine.sourceId}`,
    };
  }
  if (layer.kind === "image" && machine.role === "initial" && number !== undefined) {
    return {
      title: `Version ${number}`,
      help: "what the initial boots from; written only while it is a draft",
      href: `/images/${machine.id}`,
    };
  }
  return layerWords[layer.kind];
}
