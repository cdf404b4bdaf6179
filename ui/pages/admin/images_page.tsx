import {
  Button,
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  EmptyStateFooter,
  Label,
  PageSection,
} from "@patternfly/react-core";
import ImageIcon from "@patternfly/react-icons/dist/esm/icons/image-icon";
import type { Image } from "../../../contracts/image.ts";
import { call } from "../../api.ts";
import { Waiting } from "../../components/lazy.tsx";
import { ListPagination, ListToolbar } from "../../components/list_toolbar.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { plural } from "../../format.ts";
import { clearFilters, useListQuery } from "../../stores/list_query.ts";
import { replaceById, useEvents, useLoad } from "../../stores/load.ts";
import { toastError } from "../../stores/toasts.ts";
import { behindCount, currentOf, openStepOf, stepTasks } from "./image_words.ts";
import { RolloutProgress } from "./rollout_card.tsx";
import { VersionTable } from "./version_table.tsx";

const shownVersions = 3;

/** Every initial as a row of versions: what is current, what is being made, who is on what. */
export function ImagesPage() {
  const list = useListQuery();
  const loaded = useLoad(
    JSON.stringify(list.paging),
    (signal) => call("listImages", { query: list.paging, signal }),
  );
  const refresh = (id: string) =>
    call("getImage", { params: { id } }).then(
      ({ image }) => loaded.change((page) => ({ ...page, items: replaceById(page.items, image) })),
      (error) => toastError("An image could not be loaded again", error),
    );
  useEvents((event) => {
    if (event.type === "image") {
      if (loaded.value?.items.some((one) => one.id === event.id)) void refresh(event.id);
      else loaded.reloadSoon();
    }
    if (event.type === "machine-removed" && loaded.value?.items.some((one) => one.id === event.id)) {
      loaded.reloadSoon();
    }
  });
  const images = loaded.value?.items;
  const total = loaded.value?.total ?? 0;
  return (
    <>
      <PageHead
        title="Images"
        description="An initial is a golden image with versions. Copy a new one from its source, prepare and seal it, publish it to the desktops, and roll back if it was not good."
        actions={<Button component="a" href="/machines/new?role=initial">Create initial</Button>}
      />
      <PageSection isFilled>
        {loaded.error
          ? <InlineProblem title="Images could not be loaded" error={loaded.error} onRetry={loaded.reload} />
          : null}
        {!images && !loaded.error && <Waiting />}
        {images && (total > 0 || list.narrowed) && (
          <ListToolbar list={list} total={total} search="Name of an initial" />
        )}
        {images?.length === 0 && <NoImages narrowed={list.narrowed} />}
        <div className="kv-stack" aria-busy={loaded.loading}>
          {images?.map((image) => <ImageCard key={image.id} image={image} />)}
        </div>
        {total > list.perPage && <ListPagination list={list} total={total} />}
      </PageSection>
    </>
  );
}

function ImageCard({ image }: { image: Image }) {
  const current = currentOf(image);
  const behind = behindCount(image);
  const step = openStepOf(image);
  const more = image.versions.length - shownVersions;
  return (
    <Card isCompact component="section" aria-label={image.name}>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: (
            <Button variant="secondary" size="sm" component="a" href={`/images/${image.id}`}>
              Open<span className="pf-v6-screen-reader">{image.name}</span>
            </Button>
          ),
        }}
      >
        <CardTitle component="h2">
          <span className="kv-labels">
            <a href={`/images/${image.id}`}>{image.name}</a>
            {current
              ? <Label isCompact color="green">version {current.number}</Label>
              : <Label isCompact color="yellow">nothing published</Label>}
            {behind > 0 && <Label isCompact color="yellow">{plural(behind, "desktop")} behind</Label>}
          </span>
          <p className="kv-group-facts">
            {plural(image.cloneCount, "desktop")} · source:{" "}
            {image.sourceId ? <a href={`/machines/${image.sourceId}`}>{image.sourceName}</a> : "none"}
            {step && (
              <>
                {" · "}
                {step.state === "running" ? "now" : step.state === "blocked" ? "blocked" : "next"}:{" "}
                {stepTasks[step.step]}
              </>
            )}
          </p>
        </CardTitle>
      </CardHeader>
      <CardBody>
        <div className="kv-stack">
          {image.rollout && <RolloutProgress rollout={image.rollout} />}
          <VersionTable image={image} most={shownVersions} />
          {more > 0 && <a href={`/images/${image.id}`}>{plural(more, "older version")}</a>}
        </div>
      </CardBody>
    </Card>
  );
}

function NoImages({ narrowed }: { narrowed: boolean }) {
  if (narrowed) {
    return (
      <EmptyState headingLevel="h2" titleText="Nothing matches" icon={ImageIcon}>
        <EmptyStateFooter>
          <Button variant="link" onClick={clearFilters}>Clear filters</Button>
        </EmptyStateFooter>
      </EmptyState>
    );
  }
  return (
    <EmptyState headingLevel="h2" titleText="No images yet" icon={ImageIcon}>
      <EmptyStateBody>
        Install a system on a source, then create an initial from it: every copy of the source's disk is a
        version that you can publish to hundreds of desktops and take back.
      </EmptyStateBody>
      <EmptyStateFooter>
        <Button component="a" href="/machines/new?role=initial">Create an initial</Button>
      </EmptyStateFooter>
    </EmptyState>
  );
}
