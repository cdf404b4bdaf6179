import type { z } from "zod";
import type { EnrolCredentials, Hypervisor, UpdateHypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { publish } from "../../events.ts";
import { plural } from "../../format.ts";
import { confirm } from "../../stores/confirm.ts";
import { followJob } from "../../stores/follow.ts";
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

export const stopDraining = (hypervisor: Hypervisor) => updateHypervisor(hypervisor, { drain: null });

/** Changes a hypervisor; what goes wrong is shown as a notice. */
export async function updateHypervisor(hypervisor: Hypervisor, body: UpdateHypervisor): Promise<void> {
  try {
    await saveHypervisor(hypervisor, body);
  } catch (error) {
    toastError(`Could not change ${hypervisor.name}`, error);
  }
}

/** Changes a hypervisor. @throws {RequestError} for forms, which show it themselves */
export async function saveHypervisor(hypervisor: Hypervisor, body: UpdateHypervisor): Promise<Hypervisor> {
  const answer = await call("updateHypervisor", { params: { id: hypervisor.id }, body });
  publish({ type: "hypervisor", hypervisor: answer.hypervisor });
  return answer.hypervisor;
}

/** Gives agents the dashboard's own executable, one after another; guests are not touched. */
export async function updateAgents(outdated: Hypervisor[]): Promise<void> {
  const names = outdated.map(({ name }) => name);
  const what = names.length === 1 ? `the agent of ${names[0]}` : `${names.length} agents`;
  const agreed = await confirm({
    title: `Update ${what}?`,
    body: "Each agent gets this dashboard's own program, finishes its running jobs and starts again. " +
      "Machines and users' sessions go on; one hypervisor is updated after the other.",
    affected: names,
    confirmText: "Update",
  });
  if (!agreed) return;
  try {
    const { job } = await call("updateAgents", { body: { hypervisorIds: outdated.map(({ id }) => id) } });
    followJob(job, names.length === 1 ? `Agent of ${names[0]} updated` : `${names.length} agents updated`);
  } catch (error) {
    toastError(`Could not update ${what}`, error);
  }
}

/** Installs or repairs the agent of a host. @throws {RequestError} for the form */
export async function enrolAgain(hypervisor: Hypervisor, body: z.infer<typeof EnrolCredentials>) {
  const { job } = await call("enrolHypervisor", { params: { id: hypervisor.id }, body });
  followJob(job, `Agent of ${hypervisor.name} installed`);
  return job;
}

/** Forgets a hypervisor that has no machines; resolves to whether it is gone. */
export async function deleteHypervisor(hypervisor: Hypervisor): Promise<boolean> {
  const agreed = await confirm({
    title: `Remove the hypervisor ${hypervisor.name}?`,
    body: "The dashboard forgets it. The host, its agent and its libvirt domains are not touched; " +
      "you can add it again.",
    confirmText: "Remove",
    danger: true,
  });
  if (!agreed) return false;
  try {
    await call("deleteHypervisor", { params: { id: hypervisor.id } });
    publish({ type: "hypervisor-removed", id: hypervisor.id });
    toast({ variant: "success", title: `${hypervisor.name} removed` });
    return true;
  } catch (error) {
    toastError(`Could not remove ${hypervisor.name}`, error);
    return false;
  }
}
