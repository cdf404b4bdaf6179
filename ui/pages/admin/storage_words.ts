/** What lies on a hypervisor's disks, added up for people. */
import type { StoragePath } from "../../../contracts/hypervisor.ts";
import type { FileKind, StorageFile } from "../../../contracts/storage.ts";

export const kindTexts: Record<FileKind, string> = {
  version: "Image version",
  overlay: "Overlay",
  disk: "Disk",
  data: "Data disk",
  iso: "ISO image",
  import: "Disk image",
  scratch: "Virtual snapshot",
  partial: "Partial file",
  stray: "Stray",
};

export const kindHelp: Record<FileKind, string> = {
  version: "a version of an initial's image",
  overlay: "what a desktop wrote since it was populated",
  disk: "a machine's stand-alone disk",
  data: "personal files of a user or a machine",
  iso: "to install from",
  import: "a disk image that nothing uses; new machines can be copied from it",
  scratch: "writes of a running virtual snapshot, dropped at power off",
  partial: "of a copy or an upload that is not whole",
  stray: "an overlay or version that belongs to nothing known",
};

/** Files that are only in the way. */
export const isRubbish = (file: StorageFile) =>
  file.removable && (file.kind === "stray" || file.kind === "partial");

export const fileNameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
export const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";

export interface Volume {
  /** Directories on it. */
  paths: StoragePath[];
  totalBytes: number;
  freeBytes: number;
  /** What our files take, by kind, largest first. */
  parts: { kind: FileKind; bytes: number; count: number }[];
  /** Taken by what is not ours. */
  otherBytes: number;
}

/** Directories with the same size and free space lie on the same file system: they are shown as one. */
export function volumesOf(storage: StoragePath[], files: StorageFile[]): Volume[] {
  const groups = new Map<string, StoragePath[]>();
  for (const path of storage) {
    const key = `${path.totalBytes} ${path.freeBytes}`;
    groups.set(key, [...groups.get(key) ?? [], path]);
  }
  return [...groups.values()].map((paths) => {
    const inside = files.filter((file) => paths.some(({ path }) => file.path.startsWith(`${path}/`)));
    const { totalBytes, freeBytes } = paths[0]!;
    const ours = inside.reduce((sum, file) => sum + file.allocatedBytes, 0);
    return {
      paths,
      totalBytes,
      freeBytes,
      parts: byKind(inside),
      otherBytes: Math.max(0, totalBytes - freeBytes - ours),
    };
  });
}

function byKind(files: StorageFile[]): Volume["parts"] {
  const parts = new Map<FileKind, { kind: FileKind; bytes: number; count: number }>();
  for (const { kind, allocatedBytes } of files) {
    const part = parts.get(kind) ?? { kind, bytes: 0, count: 0 };
    parts.set(kind, { kind, bytes: part.bytes + allocatedBytes, count: part.count + 1 });
  }
  return [...parts.values()].sort((a, b) => b.bytes - a.bytes);
}

export interface ImageUsage {
  /** Of the initial; null: the dashboard does not know the image. */
  id: string | null;
  name: string;
  totalBytes: number;
  versions: {
    path: string;
    number: number | null;
    bytes: number;
    overlayCount: number;
    overlayBytes: number;
  }[];
}

/** What each image takes on one hypervisor: its versions, and the overlays that lie on each. Largest first. */
export function usageByImage(files: StorageFile[]): ImageUsage[] {
  const overlays = new Map<string, { count: number; bytes: number }>();
  for (const file of files) {
    if (file.kind !== "overlay" || file.backingPath === null) continue;
    const sum = overlays.get(file.backingPath) ?? { count: 0, bytes: 0 };
    overlays.set(file.backingPath, { count: sum.count + 1, bytes: sum.bytes + file.allocatedBytes });
  }
  const images = new Map<string, ImageUsage>();
  for (const file of files.filter((one) => one.kind === "version")) {
    const key = file.ownerId ?? "";
    const image = images.get(key) ??
      { id: file.ownerId, name: file.ownerName ?? "Unknown images", totalBytes: 0, versions: [] };
    const { count: overlayCount, bytes: overlayBytes } = overlays.get(file.path) ?? { count: 0, bytes: 0 };
    image.versions.push({
      path: file.path,
      number: file.version,
      bytes: file.allocatedBytes,
      overlayCount,
      overlayBytes,
    });
    image.totalBytes += file.allocatedBytes + overlayBytes;
    images.set(key, image);
  }
  for (const image of images.values()) image.versions.sort((a, b) => (b.number ?? 0) - (a.number ?? 0));
  return [...images.values()].sort((a, b) => b.totalBytes - a.totalBytes);
}

export const fileSorts = ["size", "name", "kind", "modified"] as const;
export type FileSort = typeof fileSorts[number];

/** Files that fit a search, in an order; sizes and times start with the largest when `descending`. */
export function arrangeFiles(
  files: StorageFile[],
  by: { q: string; kind: string; sort: FileSort; descending: boolean },
): StorageFile[] {
  const q = by.q.toLowerCase();
  const fits = files.filter((file) =>
    (by.kind === "" || file.kind === by.kind) &&
    (q === "" || file.path.toLowerCase().includes(q) || file.ownerName?.toLowerCase().includes(q))
  );
  const compare: Record<FileSort, (a: StorageFile, b: StorageFile) => number> = {
    size: (a, b) => a.allocatedBytes - b.allocatedBytes,
    name: (a, b) => fileNameOf(a.path).localeCompare(fileNameOf(b.path), "en", { numeric: true }),
    kind: (a, b) => kindTexts[a.kind].localeCompare(kindTexts[b.kind], "en"),
    modified: (a, b) => a.modifiedAt - b.modifiedAt,
  };
  const sign = by.descending ? -1 : 1;
  return fits.sort((a, b) => sign * compare[by.sort](a, b) || a.path.localeCompare(b.path, "en"));
}
