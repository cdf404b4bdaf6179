import {
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Grid,
  GridItem,
  PageSection,
} from "@patternfly/react-core";
import { useRef, useState } from "preact/hooks";
import type { Image } from "../../../contracts/image.ts";
import type { Machine } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { Facts } from "../../components/facts.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { Problem } from "../../components/problem.tsx";
import { MachineStateLabel } from "../../components/states.tsx";
import { Time } from "../../components/time.tsx";
import { formatBytes, plural } from "../../format.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { MachineNews } from "../../stores/machine_news.ts";
import { hypervisorName } from "../../stores/places.ts";
import { openCopyDisk } from "./copy_disk_dialog.tsx";
import { ImageChecklist } from "./image_checklist.tsx";
import { allocatedOf, behindCount, currentOf } from "./image_words.ts";
import { RolloutCard } from "./rollout_card.tsx";
import { VersionTable } from "./version_table.tsx";

/** One initial: its versions, what is to be done next, and how far its desktops are. */
export function ImagePage({ id }: { id: string }) {
  const loaded = useLoad(id, (signal) => call("getImage", { params: { id }, signal }));
  const [removed, setRemoved] = useState(false);
  const initial = useMachine(id);
  const source = useMachine(loaded.value?.image.sourceId ?? null);
  const news = useRef(new MachineNews(checkedOf));
  const belongs = (machine: Machine) =>
    machine.id === id || machine.sourceId === id || machine.id === loaded.value?.image.sourceId;
  useEvents((event) => {
    if (event.type === "image" && event.id === id) loaded.reload();
    if (event.type === "machine" && belongs(event.machine) && news.current.isNews(event.machine)) {
      loaded.reloadSoon();
    }
    if (event.type === "machine-removed" && event.id === id) setRemoved(true);
  });
  if (loaded.error && !loaded.value) {
    return <Problem title="The image could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
  }
  const image = loaded.value?.image;
  if (!image) return <Waiting />;
  return (
    <>
      <PageHead
        title={image.name}
        trail={[{ href: "/images", text: "Images" }]}
        actions={
          <>
            <Button
              isDisabled={!initial || image.sourceId === null || image.versions[0]?.state === "copying"}
              onClick={() => initial && openCopyDisk(initial)}
            >
              Copy disk from source
            </Button>
            <Button variant="secondary" component="a" href={`/machines/${image.id}`}>Machine</Button>
          </>
        }
      />
      <PageSection isFilled>
        {removed && (
          <Alert variant="warning" isInline title={`${image.name} was deleted`} className="kv-gap-below">
            <a href="/images">All images</a>
          </Alert>
        )}
        <Grid hasGutter>
          {image.rollout && (
            <GridItem>
              <RolloutCard image={image} rollout={image.rollout} />
            </GridItem>
          )}
          <GridItem>
            <Card>
              <CardTitle component="h2">Versions</CardTitle>
              <CardBody>
                <VersionTable image={image} />
              </CardBody>
            </Card>
          </GridItem>
          <GridItem xl={8}>
            <ImageChecklist image={image} initial={initial} source={source} />
          </GridItem>
          <GridItem xl={4}>
            <ImageFacts image={image} initial={initial} source={source} />
          </GridItem>
        </Grid>
      </PageSection>
    </>
  );
}

/** What the checklist looks at; the load of running desktops does not matter to it. */
const checkedOf = ({ state, maintenance, virtualSnapshot, outdated, imageVersion }: Machine) =>
  JSON.stringify([state, maintenance, virtualSnapshot, outdated, imageVersion?.id]);

/** One machine, kept up to date; undefined while it is not known. */
function useMachine(id: string | null): Machine | undefined {
  const loaded = useLoad(
    `machine ${id}`,
    async (signal) => id ? (await call("getMachine", { params: { id }, signal })).machine : undefined,
  );
  useEvents((event) => {
    if (event.type === "machine" && event.machine.id === id) loaded.change(() => event.machine);
  });
  return loaded.value;
}

function ImageFacts({ image, initial, source }: {
  image: Image;
  initial: Machine | undefined;
  source: Machine | undefined;
}) {
  const current = currentOf(image);
  const behind = behindCount(image);
  const allocated = image.versions.reduce(
    (sum, version) => sum + version.copies.reduce((total, copy) => total + copy.allocatedBytes, 0),
    0,
  );
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Facts</CardTitle>
      <CardBody>
        <Facts
          columns={1}
          items={{
            Source: image.sourceId
              ? (
                <span className="kv-labels">
                  <a href={`/machines/${image.sourceId}`}>{image.sourceName}</a>
                  {source && <MachineStateLabel machine={source} />}
                </span>
              )
              : "none",
            Initial: (
              <span className="kv-labels">
                <a href={`/machines/${image.id}`}>{image.name}</a>
                {initial && <MachineStateLabel machine={initial} />}
              </span>
            ),
            "Boots from": initial?.imageVersion ? `version ${initial.imageVersion.number}` : "–",
            Hypervisor: (
              <a href={`/hypervisors/${image.hypervisorId}`}>{hypervisorName(image.hypervisorId)}</a>
            ),
            Current: current
              ? (
                <>
                  version {current.number}, published <Time at={current.publishedAt} />
                </>
              )
              : "nothing published yet",
            Desktops: (
              <a href={`/machines?sourceId=${image.id}`}>
                {plural(image.cloneCount, "desktop")}
                {behind > 0 ? `, ${behind} on other versions` : ""}
              </a>
            ),
            Size: current ? formatBytes(allocatedOf(current)) : "–",
            "All versions": `${formatBytes(allocated)} on all hypervisors`,
          }}
        />
        <div className="kv-actions kv-gap-above">
          <Button
            variant="secondary"
            size="sm"
            component="a"
            href={`/machines/new?role=vdi&sourceId=${image.id}`}
          >
            New desktops
          </Button>
          <Button
            variant="secondary"
            size="sm"
            component="a"
            href={`/storage?hypervisorId=${image.hypervisorId}&view=images`}
          >
            Disk usage
          </Button>
        </div>
      </CardBody>
    </Card>
  );
}
