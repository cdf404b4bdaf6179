import type { DataDisk, StorageFile } from "../../../contracts/storage.ts";
import { call } from "../../api.ts";
import { formatBytes, plural } from "../../format.ts";
import { confirm } from "../../stores/confirm.ts";
import { toast, toastError } from "../../stores/toasts.ts";
import { fileNameOf, kindTexts } from "./storage_words.ts";

export interface Refusal {
  path: string;
  message: string;
}

/** Deletes files after a question that lists them. Resolves to what was refused, or null if nothing was asked for. */
export async function deleteFiles(hypervisorId: string, files: StorageFile[]): Promise<Refusal[] | null> {
  const bytes = files.reduce((sum, file) => sum + file.allocatedBytes, 0);
  const agreed = await confirm({
    title: `Delete ${plural(files.length, "file")}?`,
    body: `${formatBytes(bytes)} become free. Each file is checked once more: what is used by then stays.`,
    affected: files.map((file) =>
      `${fileNameOf(file.path)} (${kindTexts[file.kind].toLowerCase()}, ${formatBytes(file.allocatedBytes)})`
    ),
    confirmText: `Delete ${plural(files.length, "file")}`,
    danger: true,
  });
  if (!agreed) return null;
  try {
    const { items } = await call("deleteFiles", {
      params: { id: hypervisorId },
      body: { paths: files.map((file) => file.path) },
    });
    const deleted = items.filter((item) => item.deleted).length;
    if (deleted > 0) toast({ variant: "success", title: `${plural(deleted, "file")} deleted` });
    return items.filter((item) => !item.deleted)
      .map(({ path, message }) => ({ path, message: message ?? "It was not deleted." }));
  } catch (error) {
    toastError("The files could not be deleted", error);
    return null;
  }
}

/** Deletes a personal data disk; its owner's name must be typed. Resolves to whether it is gone. */
export async function deleteDataDisk(disk: DataDisk): Promise<boolean> {
  const agreed = await confirm({
    title: `Delete the data disk of ${disk.ownerName}?`,
    body: `Everything on it (up to ${formatBytes(disk.bytes)}) is lost for good.` +
      (disk.attachedTo ? ` It is attached to ${disk.attachedTo.name}.` : ""),
    confirmText: "Delete data disk",
    danger: true,
    typed: disk.ownerName,
  });
  if (!agreed) return false;
  try {
    await call("deleteDataDisk", { params: { id: disk.id } });
    toast({ variant: "success", title: `Data disk of ${disk.ownerName} deleted` });
    return true;
  } catch (error) {
    toastError(`The data disk of ${disk.ownerName} could not be deleted`, error);
    return false;
  }
}
