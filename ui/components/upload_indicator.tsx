import { Button } from "@patternfly/react-core";
import UploadIcon from "@patternfly/react-icons/dist/esm/icons/upload-icon";
import { percentOf, plural } from "../format.ts";
import { runningUploads } from "../stores/uploads.ts";

/** Uploads of this tab that are under way, wherever the user looks meanwhile. */
export function UploadIndicator() {
  const running = runningUploads.value;
  const [first] = running;
  if (!first) return null;
  const sent = running.reduce((sum, one) => sum + one.sending.sentBytes, 0);
  const total = running.reduce((sum, one) => sum + one.file.size, 0);
  const percent = percentOf(sent, total);
  return (
    <Button
      variant="plain"
      component="a"
      href={`/storage?hypervisorId=${first.hypervisorId}`}
      icon={<UploadIcon className="kv-busy" />}
      aria-label={`${percent} % of ${plural(running.length, "upload")}`}
    >
      <span className="kv-count">{percent} %</span>
    </Button>
  );
}
