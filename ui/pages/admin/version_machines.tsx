import { Skeleton } from "@patternfly/react-core";
import type { Image, ImageVersion } from "../../../contracts/image.ts";
import { InlineProblem } from "../../components/problem.tsx";
import { MachineStateLabel } from "../../components/states.tsx";
import { useLoad } from "../../stores/load.ts";
import { allMachines } from "../../stores/machine_actions.ts";

const shown = 60;

/** The desktops whose disks lie on a version. */
export function VersionMachines({ image, version }: { image: Image; version: ImageVersion }) {
  const loaded = useLoad(
    `on ${version.id} ${version.machineCount}`,
    () => allMachines({ sourceId: image.id, role: "vdi" }),
  );
  if (loaded.error) {
    return (
      <InlineProblem title="The desktops could not be loaded" error={loaded.error} onRetry={loaded.reload} />
    );
  }
  if (!loaded.value) return <Skeleton height="2rem" screenreaderText="Loading desktops" />;
  const on = loaded.value.filter((one) => one.imageVersion?.id === version.id);
  return (
    <>
      <ul className="kv-machine-list" aria-label={`Desktops on version ${version.number}`}>
        {on.slice(0, shown).map((one) => (
          <li key={one.id} className="kv-labels">
            <a href={`/machines/${one.id}`}>{one.name}</a>
            <MachineStateLabel machine={one} />
            {one.lease && <span className="kv-quiet">{one.lease.username}</span>}
          </li>
        ))}
      </ul>
      {on.length > shown && (
        <a href={`/machines?sourceId=${image.id}`}>
          and {(on.length - shown).toLocaleString("en")} more: all desktops of {image.name}
        </a>
      )}
    </>
  );
}
