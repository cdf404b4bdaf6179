import { DrainDialog } from "./drain_dialog.tsx";
import { EnrolDialog } from "./enrol_dialog.tsx";
import type { HypervisorDialog } from "./hypervisor_menu.ts";

/** The dialog that a hypervisor's menu has opened, if any. */
export function HypervisorDialogs(
  { dialog, onClose }: { dialog: HypervisorDialog | null; onClose: () => void },
) {
  if (dialog?.kind === "drain") return <DrainDialog hypervisor={dialog.hypervisor} onClose={onClose} />;
  if (dialog?.kind === "enrol") return <EnrolDialog hypervisor={dialog.hypervisor} onClose={onClose} />;
  return null;
}
