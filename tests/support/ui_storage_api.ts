/** Files, uploads and data disks of the in-memory API behind ui_server.ts. */
import { AppError } from "../../contracts/errors.ts";
import { FileKind, type Upload } from "../../contracts/storage.ts";
import { contains, page, requireById } from "./ui_api_parts.ts";
import type { Handlers, UiServer } from "./ui_server.ts";
import { GiB } from "./ui_world_parts.ts";

export const storageHandlers: Handlers = {
  getStorage: ({ id }, world) => {
    const hypervisor = requireById(world.hypervisors, id, "hypervisor");
    if (hypervisor.state === "offline") {
      throw new AppError("unavailable", `Read the files of ${hypervisor.name}: it is offline.`);
    }
    const files = world.files[id] ?? [];
    const totals = FileKind.options.map((kind) => {
      const some = files.filter((one) => one.kind === kind);
      return {
        kind,
        count: some.length,
        allocatedBytes: some.reduce((sum, one) => sum + one.allocatedBytes, 0),
      };
    });
    return { hypervisorId: id, readAt: Date.now(), totals: totals.filter((one) => one.count > 0), files };
  },
  deleteFiles: ({ id, body }, world) => ({
    items: body.paths.map((path) => {
      const file = world.files[id]?.find((one) => one.path === path);
      const deleted = file?.removable === true;
      if (deleted) world.files[id] = world.files[id]!.filter((one) => one !== file);
      return { path, deleted, message: deleted ? null : "Something uses it now." };
    }),
  }),
  listUploads: (_, world) => ({ items: world.uploads }),
  createUpload: ({ body, server }, world) => {
    const quota = world.settings.uploadQuotaGiB * GiB;
    if (body.bytes > quota) {
      throw new AppError(
        "conflict",
        `Upload ${body.fileName}: uploaded files may take ${world.settings.uploadQuotaGiB} GiB here. Delete some.`,
      );
    }
    const upload: Upload = {
      id: crypto.randomUUID(),
      hypervisorId: body.hypervisorId,
      fileName: body.fileName,
      bytes: body.bytes,
      receivedBytes: 0,
      state: "receiving",
      error: null,
      startedBy: server.me?.username ?? "",
      startedAt: Date.now(),
      path: null,
      format: null,
      sha256: null,
    };
    world.uploads.push(upload);
    server.received.set(upload.id, []);
    return { upload };
  },
  getUpload: ({ id }, world) => ({ upload: requireById(world.uploads, id, "upload") }),
  finishUpload: async ({ id, body, server }, world) => {
    const upload = requireById(world.uploads, id, "upload");
    const whole = await new Blob(server.received.get(id) as BlobPart[]).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", whole)).toHex();
    if (digest !== body.sha256) {
      Object.assign(upload, {
        state: "failed",
        error: "What arrived is not what was sent: upload it again.",
      });
      throw new AppError("conflict", `Upload ${upload.fileName}: ${upload.error}`);
    }
    const path = `/var/lib/kvm-vdi/iso/${upload.fileName}`;
    Object.assign(upload, { state: "done", path, format: "iso", sha256: digest });
    world.files[upload.hypervisorId]?.push({
      ...world.files[upload.hypervisorId]!.find((one) => one.kind === "iso")!,
      path,
      allocatedBytes: upload.bytes,
      virtualBytes: upload.bytes,
      modifiedAt: Date.now(),
    });
    server.publish({ type: "upload", upload });
    return { upload };
  },
  cancelUpload: ({ id }, world) => {
    world.uploads = world.uploads.filter((one) => one.id !== id);
  },
  listDataDisks: ({ query }, world) =>
    page(
      world.dataDisks.filter((one) =>
        contains(query.q, one.ownerName, one.attachedTo?.name) &&
        (!query.hypervisorId || one.hypervisorId === query.hypervisorId) &&
        (!query.userId || one.userId === query.userId)
      ),
      query,
    ),
  deleteDataDisk: ({ id }, world) => {
    const disk = requireById(world.dataDisks, id, "data disk");
    if (disk.attachedTo) {
      throw new AppError("conflict", `The data disk is attached to ${disk.attachedTo.name}.`);
    }
    world.dataDisks = world.dataDisks.filter((one) => one.id !== id);
  },
};

/** A piece of an upload. */
export function receivePiece(server: UiServer, id: string, offset: number, bytes: Uint8Array): Upload {
  const upload = requireById(server.world.uploads, id, "upload");
  if (offset !== upload.receivedBytes) {
    throw new AppError("conflict", `Go on with ${upload.fileName}: ${upload.receivedBytes} bytes are here.`);
  }
  server.received.get(id)?.push(bytes);
  upload.receivedBytes += bytes.length;
  return upload;
}
