import {
  Button,
  Card,
  CardBody,
  CardTitle,
  FormSelect,
  FormSelectOption,
  Grid,
  GridItem,
  PageSection,
  ToggleGroup,
  ToggleGroupItem,
} from "@patternfly/react-core";
import { call } from "../../api.ts";
import { Time } from "../../components/time.tsx";
import { PageHead } from "../../components/page_head.tsx";
import { UploadPanel } from "../../components/upload_panel.tsx";
import { location, setQuery } from "../../router.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { hypervisors } from "../../stores/places.ts";
import { isAdmin } from "../../stores/session.ts";
import { DataDiskTable } from "./data_disk_table.tsx";
import { StorageByImage } from "./storage_by_image.tsx";
import { StorageFiles } from "./storage_files.tsx";
import { VolumeBars } from "./volume_bars.tsx";

const views = [
  { key: "files", text: "Files" },
  { key: "images", text: "By image" },
  { key: "data-disks", text: "Data disks" },
] as const;

/** What lies on a hypervisor's disks, whose it is, and what can go; and bringing files in. */
export function StoragePage() {
  const { query } = location.value;
  const view = views.find(({ key }) => key === query.get("view"))?.key ?? "files";
  const wanted = query.get("hypervisorId");
  const hypervisor = hypervisors.value.find((one) => one.id === wanted) ??
    hypervisors.value.find((one) => one.state !== "offline") ?? hypervisors.value[0];
  return (
    <>
      <PageHead
        title="Storage"
        actions={
          <>
            <ToggleGroup aria-label="View">
              {views.map(({ key, text }) => (
                <ToggleGroupItem
                  key={key}
                  text={text}
                  buttonId={`view-${key}`}
                  isSelected={view === key}
                  onChange={() =>
                    setQuery({
                      view: key === "files" ? null : key,
                      page: null,
                      q: null,
                      kind: null,
                      sort: null,
                      order: null,
                    })}
                />
              ))}
            </ToggleGroup>
            {view !== "data-disks" && hypervisor && <HypervisorSelect value={hypervisor.id} />}
          </>
        }
      />
      <PageSection isFilled>
        {view === "data-disks"
          ? <DataDiskTable />
          : hypervisor && (
            <HostStorage key={hypervisor.id} hypervisorId={hypervisor.id} byImage={view === "images"} />
          )}
      </PageSection>
    </>
  );
}

function HypervisorSelect({ value }: { value: string }) {
  return (
    <FormSelect
      id="storage-hypervisor"
      className="kv-narrow-select"
      aria-label="Hypervisor"
      value={value}
      onChange={(_, hypervisorId) => setQuery({ hypervisorId, page: null })}
    >
      {hypervisors.value.map((one) => (
        <FormSelectOption
          key={one.id}
          value={one.id}
          label={one.state === "online" ? one.name : `${one.name} (${one.state})`}
        />
      ))}
    </FormSelect>
  );
}

function HostStorage({ hypervisorId, byImage }: { hypervisorId: string; byImage: boolean }) {
  const loaded = useLoad(
    hypervisorId,
    (signal) => call("getStorage", { params: { id: hypervisorId }, signal }),
  );
  useEvents((event) => {
    if (
      event.type === "upload" && event.upload.hypervisorId === hypervisorId && event.upload.state === "done"
    ) {
      loaded.reloadSoon();
    }
  });
  const hypervisor = hypervisors.value.find((one) => one.id === hypervisorId);
  const report = loaded.value;
  return (
    <Grid hasGutter>
      <GridItem xl={isAdmin.value ? 7 : 12}>
        <Card isFullHeight>
          <CardTitle component="h2">Space</CardTitle>
          <CardBody>
            <VolumeBars
              storage={hypervisor?.load?.storage ?? hypervisor?.facts?.storage ?? []}
              files={report?.files ?? []}
            />
            {report && (
              <p className="kv-quiet kv-small">
                Read <Time at={report.readAt} />.{" "}
                <Button variant="link" isInline isLoading={loaded.loading} onClick={loaded.reload}>
                  Read again
                </Button>
              </p>
            )}
          </CardBody>
        </Card>
      </GridItem>
      {isAdmin.value && (
        <GridItem xl={5}>
          <Card isFullHeight>
            <CardTitle component="h2">Upload</CardTitle>
            <CardBody>
              <UploadPanel hypervisorId={hypervisorId} />
            </CardBody>
          </Card>
        </GridItem>
      )}
      <GridItem>
        {byImage
          ? <StorageByImage loaded={loaded} />
          : <StorageFiles hypervisorId={hypervisorId} loaded={loaded} />}
      </GridItem>
    </Grid>
  );
}
