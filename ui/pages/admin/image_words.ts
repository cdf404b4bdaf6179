/** What the versions of an image are called, and what can be done with them. */
import type { ChecklistStep, Image, ImageVersion } from "../../../contracts/image.ts";
import { plural } from "../../format.ts";

export type VersionStanding = "copying" | "failed" | "draft" | "sealed" | "current" | "old";

export const currentOf = (image: Pick<Image, "versions">) => image.versions.find((one) => one.current);

/** How a version stands to the current one. */
export function standingOf(image: Pick<Image, "versions">, version: ImageVersion): VersionStanding {
  if (version.state !== "sealed") return version.state;
  if (version.current) return "current";
  const current = currentOf(image);
  return current && version.number < current.number ? "old" : "sealed";
}

/** Publishing an older version is a way back, and is called so. */
export function isRollBack(image: Pick<Image, "versions">, version: ImageVersion): boolean {
  const current = currentOf(image);
  return current !== undefined && version.number < current.number;
}

/** Desktops that have a disk, but on another version than the current one. */
export const behindCount = (image: Image) =>
  image.versions.filter((one) => !one.current).reduce((sum, one) => sum + one.machineCount, 0);

/** Why a version can't be deleted now and what to do about it, or null if it can. */
export function whyKept(image: Pick<Image, "versions">, version: ImageVersion): string | null {
  if (version.state === "copying") return "It is being copied: cancel the copy instead.";
  if (version.jobId) return "A job is working on it: wait for its end.";
  if (version.current) {
    return image.versions.length > 1
      ? "It is the current version: publish another one first."
      : "It is the only version.";
  }
  if (version.machineCount > 0) {
    const { machineCount } = version;
    return `${plural(machineCount, "desktop")} ${machineCount === 1 ? "is" : "are"} on it: ` +
      "it can go when they have moved to the current version.";
  }
  return null;
}

/** The one thing to do with a version that its row offers as a button. */
export function mainActionOf(
  image: Image,
  version: ImageVersion,
): "seal" | "publish" | "roll-back" | "publish-again" | null {
  if (version.jobId || version.state === "copying" || version.state === "failed") return null;
  if (version.state === "draft") return "seal";
  if (version.current) return behindCount(image) > 0 && !image.rollout ? "publish-again" : null;
  return isRollBack(image, version) ? "roll-back" : "publish";
}

/** Sizes of a version's files differ a little between hypervisors; the largest says what it takes. */
export const allocatedOf = (version: ImageVersion) =>
  Math.max(0, ...version.copies.map((copy) => copy.allocatedBytes));

export const stepTitles: Record<ChecklistStep["step"], string> = {
  "source-ready": "Source is ready",
  copied: "Disk copied to the initial",
  customised: "Initial customised",
  sealed: "Version sealed",
  published: "Version published",
  populated: "Desktops populated",
  "snapshots-on": "Virtual snapshots on",
  "maintenance-off": "Maintenance off",
};

/** The same as something to do. */
export const stepTasks: Record<ChecklistStep["step"], string> = {
  "source-ready": "get the source ready",
  copied: "copy the disk from the source",
  customised: "customise the initial",
  sealed: "seal the version",
  published: "publish the version",
  populated: "move the desktops",
  "snapshots-on": "turn virtual snapshots on",
  "maintenance-off": "end maintenance",
};

export const stepStateTexts: Record<ChecklistStep["state"], string> = {
  done: "Done",
  next: "Next",
  later: "Later",
  optional: "If needed",
  running: "Running",
  blocked: "Blocked",
};

/** What an image waits for: the first step that can be done, runs or is blocked. */
export const openStepOf = (image: Image) =>
  image.checklist.find(({ state }) => state === "running" || state === "blocked" || state === "next");
