/** Versions of images, files, uploads and data disks of a made-up installation. */
import type { Image, ImageVersion, VersionCopy } from "../../contracts/image.ts";
import type { Machine } from "../../contracts/machine.ts";
import type { DataDisk, FileKind, StorageFile } from "../../contracts/storage.ts";
import { GiB, idOf, makeJob, minute, type World } from "./ui_world_parts.ts";

const day = 24 * 60 * minute;
const imageDir = "/var/lib/kvm-vdi/images";

/** Gives every initial its versions; the first has a rollout going on, the second a copy. */
export function addImages(world: World): void {
  const initials = world.machines.filter((one) => one.role === "initial");
  world.images = initials.map((initial, n) => imageOf(world, initial, n));
  const [office, lab, cad, kiosk] = world.images;
  if (!office || !lab || !cad || !kiosk) return;
  addCopying(world, lab);
  cad.versions.unshift(versionOf(world, cad, 4, { state: "draft", booted: true, note: "New CAD release" }));
  cad.checklist = checklistOf(world, cad);
  failCopy(kiosk.versions[1]!);
  startRollout(world, office);
  world.dataDisks = dataDisksOf(world);
  world.files = Object.fromEntries(world.hypervisors.map((one) => [one.id, filesOf(world, one.id)]));
}

function imageOf(world: World, initial: Machine, n: number): Image {
  const image: Image = {
    id: initial.id,
    name: initial.name,
    hypervisorId: initial.hypervisorId,
    sourceId: initial.sourceId,
    sourceName: `${initial.name}-source`,
    currentVersionId: null,
    cloneCount: initial.cloneCount,
    versions: [],
    rollout: null,
    checklist: [],
  };
  image.versions = [3, 2, 1].map((number) =>
    versionOf(world, image, number, {
      state: "sealed",
      sealedAt: Date.now() - (4 - number) * 9 * day + 40 * minute,
      publishedAt: Date.now() - (4 - number) * 9 * day + 90 * minute,
      sha256: `${n}${number}`.repeat(32),
      note: ["First image", "Updates of October", "Updates of November, new office suite"][number - 1]!,
      pinned: number === 1 && n === 0,
    })
  );
  const behind = clonesOf(world, image).filter((one) => one.outdated && one.populatedAt !== null);
  setCurrent(world, image, image.versions[0]!);
  for (const machine of behind) {
    Object.assign(machine, { outdated: true, imageVersion: { id: image.versions[1]!.id, number: 2 } });
  }
  countVersions(world, image);
  image.checklist = checklistOf(world, image);
  return image;
}

export const clonesOf = (world: World, image: Image) =>
  world.machines.filter((one) => one.role === "vdi" && one.sourceId === image.id);

export function versionOf(
  world: World,
  image: Image,
  number: number,
  patch: Partial<ImageVersion> = {},
): ImageVersion {
  const where = world.hypervisors.filter((one) =>
    one.id === image.hypervisorId || clonesOf(world, image).some((machine) => machine.hypervisorId === one.id)
  );
  return {
    id: idOf(8, Number(image.id.slice(-6)) * 100 + number),
    initialId: image.id,
    number,
    state: "draft",
    current: false,
    booted: false,
    pinned: false,
    sha256: null,
    virtualBytes: 40 * GiB,
    note: "",
    createdAt: Date.now() - (4 - number) * 9 * day,
    createdBy: "admin",
    sealedAt: null,
    publishedAt: null,
    machineCount: 0,
    copies: where.map((hypervisor): VersionCopy => ({
      hypervisorId: hypervisor.id,
      hypervisorName: hypervisor.name,
      path: `${imageDir}/${image.name}.v${number}.qcow2`,
      state: "present",
      error: null,
      allocatedBytes: 18 * GiB,
      machineCount: 0,
    })),
    jobId: null,
    ...patch,
  };
}

/** Makes a version current; clones that are populated and idle move to it. */
export function setCurrent(world: World, image: Image, version: ImageVersion): void {
  for (const one of image.versions) one.current = one === version;
  image.currentVersionId = version.id;
  const initial = world.machines.find((one) => one.id === image.id)!;
  initial.imageVersion = { id: version.id, number: version.number };
  for (const machine of clonesOf(world, image)) {
    if (machine.populatedAt === null) continue;
    const moves = machine.imageVersion === null || machine.lease === null;
    if (moves) machine.imageVersion = { id: version.id, number: version.number };
    machine.outdated = machine.imageVersion?.id !== version.id;
  }
}

export function countVersions(world: World, image: Image): void {
  for (const version of image.versions) {
    const on = clonesOf(world, image).filter((one) => one.imageVersion?.id === version.id);
    version.machineCount = on.length;
    for (const copy of version.copies) {
      copy.machineCount = on.filter((one) => one.hypervisorId === copy.hypervisorId).length;
    }
  }
}

/** What is to be done next, roughly as the dashboard finds it out. */
export function checklistOf(world: World, image: Image): Image["checklist"] {
  const source = world.machines.find((one) => one.id === image.sourceId);
  const newest = image.versions[0];
  const clones = clonesOf(world, image);
  const behind = clones.filter((one) => one.outdated).length;
  const plain = clones.filter((one) => !one.virtualSnapshot).length;
  const held = clones.filter((one) => one.maintenance).length;
  const fresh = newest !== undefined && !newest.current;
  const sealed = newest?.state === "sealed";
  const state = (done: boolean, next: boolean) =>
    done ? "done" as const : next ? "next" as const : "later" as const;
  const off = source?.state === "shut-off";
  return [
    {
      step: "source-ready",
      state: off ? "done" : "blocked",
      detail: off
        ? `${source.name} is shut off and can be copied.`
        : "The source runs: shut it off to copy it.",
    },
    {
      step: "copied",
      state: newest?.state === "copying" ? "running" : state(newest !== undefined, true),
      detail: newest ? `Version ${newest.number} was copied from the source.` : "Copy the source's disk.",
    },
    {
      step: "customised",
      state: newest?.booted ? "done" : fresh && newest.state === "draft" ? "optional" : "done",
      detail: newest?.booted
        ? "The initial was started with it."
        : "Start the initial to prepare it, if it needs that.",
    },
    {
      step: "sealed",
      state: state(sealed, newest?.state === "draft"),
      detail: "A sealed version is never written again.",
    },
    {
      step: "published",
      state: state(!fresh, sealed),
      detail: fresh
        ? `Version ${newest.number} is not published.`
        : `Version ${newest?.number ?? 0} is current.`,
    },
    {
      step: "populated",
      state: image.rollout ? "running" : state(behind === 0 && !fresh, !fresh),
      detail: behind
        ? `${behind} of ${clones.length} desktops are on another version.`
        : "All desktops are on it.",
    },
    {
      step: "snapshots-on",
      state: plain === 0 ? "done" : "optional",
      detail: `${plain} of ${clones.length} desktops keep what is written on them.`,
    },
    {
      step: "maintenance-off",
      state: held === 0 ? "done" : "next",
      detail: held ? `${held} desktops are in maintenance.` : "No desktop is held back.",
    },
  ];
}

function addCopying(world: World, image: Image): void {
  const job = world.jobs.find((one) => one.kind === "copy-disk" && one.subjectId === image.id);
  const version = versionOf(world, image, 4, {
    state: "copying",
    jobId: job?.id ?? null,
    createdAt: Date.now(),
  });
  for (const copy of version.copies) Object.assign(copy, { state: "copying", allocatedBytes: 5 * GiB });
  image.versions.unshift(version);
  image.checklist = checklistOf(world, image);
}

function failCopy(version: ImageVersion): void {
  const [first, second] = version.copies;
  if (first) first.state = "missing";
  if (second) Object.assign(second, { state: "failed", error: "no space left on /var/lib/kvm-vdi/images" });
}

function startRollout(world: World, image: Image): void {
  const behind = clonesOf(world, image).filter((one) => one.outdated);
  const job = makeJob(0, { kind: "publish", subjectId: image.id });
  world.jobs.push({ ...job, id: idOf(3, 900), createdAt: Date.now() - day });
  image.rollout = {
    versionId: image.versions[0]!.id,
    mode: "rolling",
    startedAt: Date.now() - 3 * 60 * minute,
    endsSessionsAt: null,
    total: image.cloneCount,
    moved: image.cloneCount - behind.length,
    waiting: behind.map((machine, n) => ({
      machineId: machine.id,
      name: machine.name,
      reason: n === 3
        ? "Could not make its overlay: no space left on /var/lib/kvm-vdi/images of hv-2."
        : machine.lease
        ? `${machine.lease.username} is working on it.`
        : machine.state === "running"
        ? "It is running; it moves when it is shut down."
        : "Its hypervisor hv-3 is offline.",
    })),
  };
  image.checklist = checklistOf(world, image);
}

function dataDisksOf(world: World): DataDisk[] {
  const clones = world.machines.filter((one) => one.role === "vdi").slice(0, 34);
  return clones.map((machine, n): DataDisk => {
    const scope = n % 3 === 0 ? "machine" as const : "user" as const;
    const user = world.users[n + 1]!;
    const attached = n % 4 !== 1;
    const disk = { id: idOf(10, n + 1), scope, bytes: (8 + n % 5 * 4) * GiB };
    if (attached) machine.dataDisk = disk;
    return {
      ...disk,
      machineId: scope === "machine" ? machine.id : null,
      userId: scope === "user" ? user.id : null,
      ownerName: scope === "user" ? user.username : machine.name,
      hypervisorId: machine.hypervisorId,
      attachedTo: attached ? { id: machine.id, name: machine.name } : null,
      createdAt: Date.now() - n * day,
    };
  });
}

function fileOf(path: string, kind: FileKind, patch: Partial<StorageFile> = {}): StorageFile {
  return {
    path,
    kind,
    format: "qcow2",
    allocatedBytes: GiB,
    virtualBytes: 40 * GiB,
    backingPath: null,
    modifiedAt: Date.now() - 2 * day,
    domainIds: [],
    version: null,
    inUse: false,
    ownerId: null,
    ownerName: null,
    removable: false,
    reason: "",
    ...patch,
  };
}

function filesOf(world: World, hypervisorId: string): StorageFile[] {
  const files: StorageFile[] = [];
  for (const image of world.images) {
    for (const version of image.versions) {
      for (const copy of version.copies.filter((one) => one.hypervisorId === hypervisorId)) {
        files.push(fileOf(copy.path, version.state === "copying" ? "partial" : "version", {
          allocatedBytes: copy.allocatedBytes,
          version: version.number,
          ownerId: image.id,
          ownerName: image.name,
          inUse: copy.machineCount > 0 || version.current || version.state === "copying",
          reason: `Version ${version.number} of ${image.name}${version.current ? ", the current one" : ""}.`,
        }));
      }
    }
  }
  const own = world.machines.filter((one) => one.hypervisorId === hypervisorId && one.role !== "initial");
  for (const machine of own) {
    if (machine.role === "vdi" && machine.imageVersion === null) continue;
    const image = world.images.find((one) => one.id === machine.sourceId);
    files.push(fileOf(`${imageDir}/${machine.name}.qcow2`, machine.role === "vdi" ? "overlay" : "disk", {
      allocatedBytes: machine.role === "vdi"
        ? (Number(machine.id.slice(-3)) % 30 + 1) * 100 * 1024 ** 2
        : 14 * GiB,
      ...(image && machine.imageVersion
        ? { backingPath: `${imageDir}/${image.name}.v${machine.imageVersion.number}.qcow2` }
        : {}),
      domainIds: [machine.id],
      ownerId: machine.id,
      ownerName: machine.name,
      inUse: true,
      reason: `The disk of ${machine.name}.`,
    }));
  }
  files.push(
    fileOf("/var/lib/kvm-vdi/iso/debian-12.iso", "iso", {
      format: "iso",
      allocatedBytes: 660 * 1024 ** 2,
      virtualBytes: 660 * 1024 ** 2,
      removable: true,
      reason: "An ISO image that no machine uses.",
    }),
    fileOf(`${imageDir}/demo.qcow2`, "import", {
      removable: true,
      reason: "A disk image that nothing uses.",
    }),
    fileOf(`${imageDir}/lab-077.qcow2`, "stray", {
      allocatedBytes: 3 * GiB,
      backingPath: `${imageDir}/debian-lab.v1.qcow2`,
      removable: true,
      reason: "No machine has this overlay: its machine was deleted while the hypervisor was offline.",
    }),
    fileOf(`${imageDir}/old.v2.qcow2`, "stray", {
      allocatedBytes: 21 * GiB,
      removable: true,
      reason: "A version of an image that is not known any more.",
    }),
    fileOf(`${imageDir}/cad-station.v2.qcow2.partial`, "partial", {
      allocatedBytes: 7 * GiB,
      removable: true,
      reason: "What a copy that was interrupted has left.",
    }),
    fileOf("/var/lib/kvm-vdi/scratch/debian-lab-002.qcow2", "scratch", {
      allocatedBytes: 400 * 1024 ** 2,
      inUse: true,
      reason: "Writes of the running virtual snapshot of debian-lab-002.",
    }),
  );
  return files;
}
