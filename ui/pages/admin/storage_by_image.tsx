import { Card, CardBody, CardTitle, Skeleton } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import type { StorageReport } from "../../../contracts/storage.ts";
import { InlineProblem } from "../../components/problem.tsx";
import { formatBytes, plural } from "../../format.ts";
import type { Loaded } from "../../stores/load.ts";
import { fileNameOf, type ImageUsage, usageByImage } from "./storage_words.ts";

/** What each image takes on a hypervisor: its versions, and the overlays that lie on each. */
export function StorageByImage({ loaded }: { loaded: Loaded<StorageReport> }) {
  if (loaded.error && !loaded.value) {
    return <InlineProblem title="The files could not be read" error={loaded.error} onRetry={loaded.reload} />;
  }
  if (!loaded.value) return <Skeleton height="12rem" screenreaderText="Reading files" />;
  const images = usageByImage(loaded.value.files);
  if (images.length === 0) return <p className="kv-quiet">No version of an image lies on this hypervisor.</p>;
  return (
    <div className="kv-stack">
      {images.map((image) => <ImageUsageCard key={image.id ?? ""} image={image} />)}
    </div>
  );
}

function ImageUsageCard({ image }: { image: ImageUsage }) {
  const overlayBytes = image.versions.reduce((sum, one) => sum + one.overlayBytes, 0);
  return (
    <Card isCompact>
      <CardTitle component="h2">
        {image.id ? <a href={`/images/${image.id}`}>{image.name}</a> : image.name}
        <p className="kv-group-facts">
          {formatBytes(image.totalBytes)} in all, {formatBytes(overlayBytes)} of it in overlays
        </p>
      </CardTitle>
      <CardBody className="kv-table">
        <Table aria-label={`Disk usage of ${image.name}`} variant="compact" gridBreakPoint="grid-md">
          <Thead>
            <Tr>
              <Th>Version</Th>
              <Th>File</Th>
              <Th>Version's size</Th>
              <Th>Overlays on it</Th>
              <Th>Together</Th>
            </Tr>
          </Thead>
          <Tbody>
            {image.versions.map((version) => (
              <Tr key={version.path}>
                <Td dataLabel="Version">{version.number === null ? "–" : `Version ${version.number}`}</Td>
                <Td dataLabel="File" className="kv-path">{fileNameOf(version.path)}</Td>
                <Td dataLabel="Version's size">{formatBytes(version.bytes)}</Td>
                <Td dataLabel="Overlays on it">
                  {version.overlayCount === 0
                    ? <span className="kv-quiet">none</span>
                    : `${plural(version.overlayCount, "overlay")}, ${formatBytes(version.overlayBytes)}`}
                </Td>
                <Td dataLabel="Together">{formatBytes(version.bytes + version.overlayBytes)}</Td>
              </Tr>
            ))}
          </Tbody>
        </Table>
      </CardBody>
    </Card>
  );
}
