/** What can be done to an image and its versions, with the questions to ask first. */
import type { Image, ImageVersion } from "../../../contracts/image.ts";
import type { Machine } from "../../../contracts/machine.ts";
import { call } from "../../api.ts";
import { publish } from "../../events.ts";
import { plural } from "../../format.ts";
import { confirm } from "../../stores/confirm.ts";
import { openConsole, powerMachine, runJob } from "../../stores/machine_actions.ts";
import { toastError } from "../../stores/toasts.ts";

const nameOf = (image: Image, version: ImageVersion) => `version ${version.number} of ${image.name}`;

/** Makes a draft final. */
export async function sealVersion(image: Image, version: ImageVersion): Promise<void> {
  const agreed = await confirm({
    title: `Seal ${nameOf(image, version)}?`,
    body: "It is read once for its checksum, made read-only, and copied to every hypervisor that needs it. " +
      "The initial must be shut off. Until it has been used you can open it again.",
    confirmText: "Seal",
  });
  if (!agreed) return;
  await runJob(
    `Could not seal ${nameOf(image, version)}`,
    `Sealed ${nameOf(image, version)}`,
    () => call("sealVersion", { params: { id: version.id } }),
  );
}

/** Makes a sealed version a draft again. */
export async function reopenVersion(image: Image, version: ImageVersion): Promise<void> {
  await change(
    image,
    `Could not open ${nameOf(image, version)} again`,
    () => call("unsealVersion", { params: { id: version.id } }),
  );
}

export async function pinVersion(image: Image, version: ImageVersion, pinned: boolean): Promise<void> {
  await change(
    image,
    `Could not change ${nameOf(image, version)}`,
    () => call("updateVersion", { params: { id: version.id }, body: { pinned } }),
  );
}

/** Deletes a version everywhere. One that was published must be typed: the way back goes with it. */
export async function deleteVersion(image: Image, version: ImageVersion): Promise<void> {
  const wasUsed = version.publishedAt !== null;
  const agreed = await confirm({
    title: `Delete ${nameOf(image, version)}?`,
    body: `Its file is deleted on ${plural(version.copies.length, "hypervisor")}.` +
      (wasUsed ? " You can't roll back to it any more." : ""),
    affected: version.copies.map((copy) => `${copy.hypervisorName}: ${copy.path}`),
    confirmText: "Delete version",
    danger: true,
    ...(wasUsed ? { typed: `version ${version.number}` } : {}),
  });
  if (!agreed) return;
  await runJob(
    `Could not delete ${nameOf(image, version)}`,
    `Deleted ${nameOf(image, version)}`,
    () => call("deleteVersion", { params: { id: version.id } }),
  );
}

/** Brings the desktops that are still on other versions over to the current one. */
export async function publishAgain(image: Image, version: ImageVersion): Promise<void> {
  await runJob(
    `Could not publish ${nameOf(image, version)} again`,
    `${image.name}: the rest moves to version ${version.number}`,
    () => call("publishVersion", { params: { id: version.id }, body: { mode: "rolling" } }),
  );
}

/** Stops a rollout: what has moved stays moved. */
export async function cancelRollout(image: Image): Promise<void> {
  const waiting = image.rollout?.waiting ?? [];
  const agreed = await confirm({
    title: `Stop moving the desktops of ${image.name}?`,
    body:
      "Desktops that have moved stay on the new version; these stay on the old one until you publish again:",
    affected: waiting.map((one) => one.name),
    confirmText: "Stop",
    danger: true,
  });
  if (!agreed) return;
  await change(
    image,
    `Could not stop the rollout of ${image.name}`,
    () => call("cancelRollout", { params: { id: image.id } }),
  );
}

/** Makes the overlays of these desktops anew on the current version, as after a failure. */
export async function moveNow(image: Image, machineIds: string[]): Promise<void> {
  await runJob(
    `Could not move desktops of ${image.name}`,
    `Moved ${plural(machineIds.length, "desktop")} of ${image.name}`,
    () => call("populate", { params: { id: image.id }, body: { machineIds } }),
  );
}

/** Starts the initial, so that it can be customised, and opens its console. */
export async function bootInitial(initial: Machine): Promise<void> {
  openConsole(initial); // before the request: browsers open windows only right after a click
  if (initial.state === "shut-off" || initial.state === "crashed") await powerMachine(initial, "start");
}

/** A small change without a job; the image is loaded again after it. */
async function change(image: Image, failure: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    publish({ type: "image", id: image.id });
  } catch (error) {
    toastError(failure, error);
  }
}
