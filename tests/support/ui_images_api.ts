/** Images and what is done to machines' disks in the in-memory API behind ui_server.ts. */
import { AppError } from "../../contracts/errors.ts";
import type { Image, ImageVersion } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import { contains, page, requireById, runJob } from "./ui_api_parts.ts";
import { checklistOf, clonesOf, countVersions, setCurrent, versionOf } from "./ui_images_world.ts";
import type { Handlers, UiServer } from "./ui_server.ts";
import { GiB, makeMachine, type World } from "./ui_world_parts.ts";

function changed(server: UiServer, image: Image): void {
  countVersions(server.world, image);
  image.checklist = checklistOf(server.world, image);
  server.publish({ type: "image", id: image.id });
}

function requireVersion(world: World, id: string): { image: Image; version: ImageVersion } {
  for (const image of world.images) {
    const version = image.versions.find((one) => one.id === id);
    if (version) return { image, version };
  }
  throw new AppError("not_found", "There is no such version.");
}

/** A job on a version: the version names it while it runs. */
function versionJob(
  server: UiServer,
  id: string,
  patch: Partial<Job>,
  finish: (at: {
    image: Image;
    version: ImageVersion;
  }) => void,
): { job: Job } {
  const found = requireVersion(server.world, id);
  const job = runJob(server, {
    subjectId: found.image.id,
    subjectName: `${found.image.name} version ${found.version.number}`,
    total: 20 * GiB,
    unit: "bytes",
    ...patch,
  }, () => {
    found.version.jobId = null;
    finish(found);
    changed(server, found.image);
  });
  found.version.jobId = job.id;
  changed(server, found.image);
  return { job };
}

function seal(version: ImageVersion): void {
  Object.assign(version, { state: "sealed", sealedAt: Date.now(), sha256: "c0ffee42".repeat(8) });
}

/** Makes a version current: at once for what is idle, later for what is in use. */
function publishVersion(
  server: UiServer,
  image: Image,
  version: ImageVersion,
  mode: "now" | "rolling",
): void {
  const { world } = server;
  if (version.state === "draft") seal(version);
  version.publishedAt = Date.now();
  setCurrent(world, image, version);
  const left = clonesOf(world, image).filter((one) => one.outdated);
  image.rollout = left.length === 0 ? null : {
    versionId: version.id,
    mode,
    startedAt: Date.now(),
    endsSessionsAt: mode === "now" ? Date.now() + 300_000 : null,
    total: image.cloneCount,
    moved: image.cloneCount - left.length,
    waiting: left.map((machine) => ({
      machineId: machine.id,
      name: machine.name,
      reason: `${machine.lease?.username ?? "Somebody"} is working on it.`,
    })),
  };
}

export const imageHandlers: Handlers = {
  listImages: ({ query }, world) => page(world.images.filter((one) => contains(query.q, one.name)), query),
  getImage: ({ id }, world) => ({ image: requireById(world.images, id, "image") }),
  copyDisk: ({ id, body, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    const image = requireById(world.images, id, "image");
    if (image.versions.some((one) => one.state === "copying")) {
      throw new AppError("conflict", `Copy the disk to ${machine.name}: a copy is running already.`);
    }
    const version = versionOf(world, image, (image.versions[0]?.number ?? 0) + 1, {
      state: "copying",
      note: body?.note ?? "",
      createdAt: Date.now(),
    });
    if (body?.hypervisorIds) {
      version.copies = version.copies.filter((one) => body.hypervisorIds?.includes(one.hypervisorId));
    }
    image.versions.unshift(version);
    return versionJob(server, version.id, {
      kind: "copy-disk",
      subjectName: image.name,
      stage: "Copying the image",
    }, () => body?.seal ? seal(version) : void (version.state = "draft"));
  },
  sealVersion: ({ id, server }) =>
    versionJob(
      server,
      id,
      { kind: "seal", stage: "Reading for the checksum" },
      ({ version }) => seal(version),
    ),
  unsealVersion: ({ id, server }, world) => {
    const { image, version } = requireVersion(world, id);
    Object.assign(version, { state: "draft", sealedAt: null, sha256: null });
    changed(server, image);
    return { version };
  },
  publishVersion: ({ id, body, server }) =>
    versionJob(
      server,
      id,
      { kind: "publish", unit: "items" },
      ({ image, version }) => publishVersion(server, image, version, body?.mode ?? "rolling"),
    ),
  distributeVersion: ({ id, body, server }) =>
    versionJob(server, id, { kind: "distribute" }, ({ image, version }) => {
      const [pattern] = image.versions.flatMap((one) => one.copies);
      for (const hypervisorId of body.hypervisorIds) {
        const hypervisorName = server.world.hypervisors.find((one) => one.id === hypervisorId)?.name ?? "";
        version.copies = [
          ...version.copies.filter((one) => one.hypervisorId !== hypervisorId),
          { ...pattern!, hypervisorId, hypervisorName, state: "present", error: null, machineCount: 0 },
        ];
      }
    }),
  updateVersion: ({ id, body, server }, world) => {
    const { image, version } = requireVersion(world, id);
    Object.assign(version, body);
    changed(server, image);
    return { version };
  },
  deleteVersion: ({ id, server }, world) => {
    const { version } = requireVersion(world, id);
    if (version.machineCount > 0) throw new AppError("conflict", "Machines are on this version.");
    return versionJob(server, id, { kind: "delete-image", total: 1, unit: "items" }, ({ image }) => {
      image.versions = image.versions.filter((one) => one.id !== id);
    });
  },
  cancelRollout: ({ id, server }, world) => {
    const image = requireById(world.images, id, "image");
    image.rollout = null;
    changed(server, image);
    return { image };
  },
  populate: ({ id, body, server }, world) => {
    const wanted = world.machines.filter((one) =>
      (one.sourceId === id && (!body?.machineIds || body.machineIds.includes(one.id))) || one.id === id
    ).filter((one) => one.role === "vdi");
    const image = world.images.find((one) => one.id === id || one.id === wanted[0]?.sourceId);
    const current = image?.versions.find((one) => one.current);
    return {
      job: runJob(server, {
        kind: "populate",
        subjectId: id,
        subjectName: requireById(world.machines, id, "machine").name,
        total: wanted.length,
      }, () => {
        for (const machine of wanted) {
          Object.assign(machine, { populatedAt: Date.now(), outdated: false });
          if (current) machine.imageVersion = { id: current.id, number: current.number };
          server.publish({ type: "machine", machine });
        }
        if (image?.rollout) {
          const moved = new Set(wanted.map((one) => one.id));
          image.rollout.waiting = image.rollout.waiting.filter((one) => !moved.has(one.machineId));
          image.rollout.moved = image.rollout.total - image.rollout.waiting.length;
        }
        if (image) changed(server, image);
      }),
    };
  },

  planDeletion: ({ id }, world) => {
    const machine = requireById(world.machines, id, "machine");
    const clones = machine.role === "initial" ? world.machines.filter((one) => one.sourceId === id) : [];
    const all = [...clones, machine];
    return {
      plan: {
        machines: all.map(({ id, name, role }) => ({ id, name, role })),
        files: all.map((one) => ({
          path: `/var/lib/kvm-vdi/images/${one.name}.qcow2`,
          hypervisorName: "hv-1",
          allocatedBytes: 2 * GiB,
        })),
        dataDisks: world.dataDisks.filter((disk) =>
          disk.scope === "machine" && all.some((one) => one.id === disk.machineId)
        )
          .map(({ id, ownerName }) => ({ id, ownerName })),
        obstacles: all.filter((one) => one.lease).slice(0, 5).map((one) =>
          `${one.lease?.username} is working on ${one.name}: end the session first.`
        ),
      },
    };
  },
  moveMachine: ({ id, body, server }, world) =>
    machineJob(server, requireById(world.machines, id, "machine"), "move-machine", (machine) => {
      machine.hypervisorId = body.hypervisorId;
    }),
  copyMachine: ({ id, body, server }, world) => {
    const pattern = requireById(world.machines, id, "machine");
    const machine = makeMachine(90_000 + world.machines.length, {
      ...pattern,
      id: crypto.randomUUID(),
      name: body.name,
      hypervisorId: body.hypervisorId,
      lease: null,
    });
    world.machines.push(machine);
    return { ...machineJob(server, machine, "copy-machine", () => {}), machine };
  },
  flattenMachine: ({ id, server }, world) =>
    machineJob(server, requireById(world.machines, id, "machine"), "flatten", (machine) => {
      Object.assign(machine, { role: "simple", sourceId: null, imageVersion: null, outdated: false });
    }),
  resizeDisk: ({ id, body, server }, world) =>
    machineJob(server, requireById(world.machines, id, "machine"), "resize-disk", (machine) => {
      machine.diskBytes = body.bytes;
    }),
  putDataDisk: ({ id, body, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    machine.dataDisk = {
      id: machine.dataDisk?.id ?? crypto.randomUUID(),
      scope: "machine",
      bytes: body.bytes,
    };
    server.publish({ type: "machine", machine });
    return { machine };
  },
};

function machineJob(
  server: UiServer,
  machine: Machine,
  kind: Job["kind"],
  finish: (machine: Machine) => void,
): { job: Job } {
  return {
    job: runJob(server, {
      kind,
      subjectId: machine.id,
      subjectName: machine.name,
      total: 20 * GiB,
      unit: "bytes",
    }, () => {
      finish(machine);
      server.publish({ type: "machine", machine });
    }),
  };
}
