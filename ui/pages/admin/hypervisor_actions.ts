import type { Hypervisor, UpdateHypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { publish } from "../../events.ts";
import { plural } from "../../format.ts";
import { confirm } from "../../stores/confirm.ts";
import { toast, toastError } from "../../stores/toasts.ts";

/** Offers a hypervisor's machines to users, or stops to; running sessions go on. */
export async function setHypervisorMaintenance(hypervisor: Hypervisor, maintenance: boolean): Promise<void> {
  if (maintenance) {
    const agreed = await confirm({
      title: `Set ${hypervisor.name} to maintenance?`,
      body: `Its ${plural(hypervisor.machineCount, "machine")} are not given to users any more. ` +
        "Users who are working keep their desktops.",
      confirmText: "Set to maintenance",
    });
    if (!agreed) return;
  }
  await updateHypervisor(hypervisor, { maintenance });
}

export async function updateHypervisor(hypervisor: Hypervisor, body: UpdateHypervisor): Promise<void> {
  try {
    const answer = await call("updateHypervisor", { params: { id: hypervisor.id }, body });
    publish({ type: "hypervisor", hypervisor: answer.hypervisor });
  } catch (error) {
    toastError(`Could not change ${hypervisor.name}`, error);
  }
}

/** Forgets a hypervisor that has no machines; resolves to whether it is gone. */
export async function deleteHypervisor(hypervisor: Hypervisor): Promise<boolean> {
  const agreed = await confirm({
    title: `Forget the hypervisor ${hypervisor.name}?`,
    body: "The host and its libvirt domains are not touched. You can add it again.",
    confirmText: "Forget",
    danger: true,
  });
  if (!agreed) return false;
  try {
    await call("deleteHypervisor", { params: { id: hypervisor.id } });
    publish({ type: "hypervisor-removed", id: hypervisor.id });
    toast({ variant: "success", title: `${hypervisor.name} forgotten` });
    return true;
  } catch (error) {
    toastError(`Could not forget ${hypervisor.name}`, error);
    return false;
  }
}
