import assert from "node:assert/strict";
import type { StorageFile } from "../../../contracts/storage.ts";
import { arrangeFiles, isRubbish, usageByImage, volumesOf } from "./storage_words.ts";

const file = (path: string, kind: StorageFile["kind"], patch: Partial<StorageFile> = {}): StorageFile => ({
  path,
  kind,
  format: "qcow2",
  allocatedBytes: 10,
  virtualBytes: 100,
  backingPath: null,
  modifiedAt: 1,
  domainIds: [],
  version: null,
  inUse: false,
  ownerId: null,
  ownerName: null,
  removable: false,
  reason: "",
  ...patch,
});
const images = { kind: "images" as const, path: "/images", totalBytes: 1000, freeBytes: 600 };

Deno.test("volumesOf() shows directories of one file system once, with what is not ours apart", () => {
  const volumes = volumesOf(
    [images, { ...images, kind: "iso", path: "/iso" }, {
      kind: "scratch",
      path: "/tmp",
      totalBytes: 50,
      freeBytes: 50,
    }],
    [
      file("/images/a", "version", { allocatedBytes: 100 }),
      file("/images/b", "overlay"),
      file("/iso/c", "iso"),
    ],
  );
  assert.equal(volumes.length, 2);
  assert.deepEqual(volumes[0]?.parts.map(({ kind, bytes }) => [kind, bytes]), [
    ["version", 100],
    ["overlay", 10],
    ["iso", 10],
  ]);
  assert.equal(volumes[0]?.otherBytes, 280);
  assert.deepEqual(volumes[1]?.parts, []);
});

Deno.test("usageByImage() adds up the overlays that lie on each version", () => {
  const of = { ownerId: "1", ownerName: "lab" };
  const [lab, office] = usageByImage([
    file("/images/office.v1", "version", { ownerId: "2", ownerName: "office", version: 1 }),
    file("/images/lab.v1", "version", { ...of, version: 1 }),
    file("/images/lab.v2", "version", { ...of, version: 2, allocatedBytes: 20 }),
    file("/images/lab-1", "overlay", { backingPath: "/images/lab.v2", allocatedBytes: 3 }),
    file("/images/lab-2", "overlay", { backingPath: "/images/lab.v2", allocatedBytes: 4 }),
  ]);
  assert.equal(lab?.name, "lab");
  assert.equal(lab?.totalBytes, 37);
  assert.deepEqual(lab?.versions.map((one) => [one.number, one.overlayCount, one.overlayBytes]), [[2, 2, 7], [
    1,
    0,
    0,
  ]]);
  assert.equal(office?.totalBytes, 10);
});

Deno.test("arrangeFiles() filters by kind and text, and sorts by size", () => {
  const files = [
    file("/images/a", "overlay", { allocatedBytes: 1, ownerName: "Lab-1" }),
    file("/images/b", "overlay", { allocatedBytes: 5, ownerName: "lab-2" }),
    file("/images/c", "version", { allocatedBytes: 9, ownerName: "lab" }),
    file("/images/d", "overlay", { allocatedBytes: 7, ownerName: "kiosk" }),
  ];
  const found = arrangeFiles(files, { q: "lab", kind: "overlay", sort: "size", descending: true });
  assert.deepEqual(found.map((one) => one.path), ["/images/b", "/images/a"]);
});

Deno.test("isRubbish() never counts what something uses", () => {
  assert.equal(isRubbish(file("/images/a", "stray", { removable: true })), true);
  assert.equal(isRubbish(file("/images/a", "partial")), false);
  assert.equal(isRubbish(file("/images/a", "import", { removable: true })), false);
});
