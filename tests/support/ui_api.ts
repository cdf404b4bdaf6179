/** The handlers of the in-memory API behind ui_server.ts. Only what the UI calls. */
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob } from "../../contracts/job.ts";
import type { User } from "../../contracts/user.ts";
import { contains, page, requireById } from "./ui_api_parts.ts";
import { imageHandlers } from "./ui_images_api.ts";
import { hypervisorHandlers } from "./ui_hypervisors_api.ts";
import { machineHandlers } from "./ui_machines_api.ts";
import { poolHandlers } from "./ui_pools_api.ts";
import { portalHandlers } from "./ui_portal_api.ts";
import { storageHandlers } from "./ui_storage_api.ts";
import type { Handlers } from "./ui_server.ts";
import { GiB, overviewOf, type World } from "./ui_world_parts.ts";

const sessionOf = (user: User, world: World) => ({
  user,
  expiresAt: Date.now() + 3_600_000,
  siteName: world.settings.siteName,
  version: "1.0.0",
});

export const handlers: Handlers = {
  ...hypervisorHandlers,
  ...machineHandlers,
  ...poolHandlers,
  ...portalHandlers,
  ...imageHandlers,
  ...storageHandlers,
  getSetup: ({ server }, world) => ({
    required: false,
    siteName: world.settings.siteName,
    version: "1.0.0",
    ...(server.me && { session: sessionOf(server.me, world) }),
  }),
  getSession: ({ server }, world) => sessionOf(server.me!, world),
  signIn: ({ server, body }, world) => {
    const user = world.users.find((one) => one.username === body.username);
    if (!user || body.password !== "correct horse") {
      throw new AppError("unauthenticated", "User name or password is wrong.");
    }
    server.userId = user.id;
    return { user, expiresAt: Date.now() + 3_600_000, siteName: world.settings.siteName, version: "1.0.0" };
  },
  signOut: ({ server }) => {
    server.userId = null;
  },
  changePassword: ({ body }) => {
    if (body.currentPassword !== "correct horse") {
      throw new AppError("invalid", "The current password is wrong.", {
        details: [{ path: "currentPassword", message: "is wrong" }],
      });
    }
  },
  getOverview: (_, world) => ({ overview: overviewOf(world) }),
  search: ({ query }, world) => ({
    items: [
      ...world.machines.filter((one) => contains(query.q, one.name, one.mac, ...one.addresses)).slice(0, 6)
        .map((one) => ({ kind: "machine" as const, id: one.id, title: one.name, detail: one.state })),
      ...world.users.filter((one) => contains(query.q, one.username, one.displayName)).slice(0, 3)
        .map((one) => ({ kind: "user" as const, id: one.id, title: one.username, detail: one.displayName })),
      ...world.pools.filter((one) => contains(query.q, one.name)).slice(0, 3)
        .map((one) => ({
          kind: "desktop-pool" as const,
          id: one.id,
          title: one.name,
          detail: one.description,
        })),
    ],
  }),

  listImageFiles: () => ({
    items: [
      {
        path: "/var/lib/kvm-vdi/iso/debian-12.iso",
        name: "debian-12.iso",
        kind: "iso",
        format: "iso",
        bytes: 660 * 1024 ** 2,
        virtualBytes: 660 * 1024 ** 2,
      },
      {
        path: "/var/lib/kvm-vdi/iso/virtio-win.iso",
        name: "virtio-win.iso",
        kind: "iso",
        format: "iso",
        bytes: 700 * 1024 ** 2,
        virtualBytes: 700 * 1024 ** 2,
      },
      {
        path: "/var/lib/kvm-vdi/images/demo.qcow2",
        name: "demo.qcow2",
        kind: "disk",
        format: "qcow2",
        bytes: 16 * 1024 ** 2,
        virtualBytes: GiB,
      },
    ],
  }),
  listJobs: ({ query }, world) =>
    page(
      world.jobs.filter((one) =>
        contains(query.q, one.subjectName, one.kind) && (!query.state || one.state === query.state) &&
        (query.open === undefined || isOpenJob(one) === query.open) &&
        (!query.kind || one.kind === query.kind) &&
        (!query.subjectId || one.subjectId === query.subjectId)
      ),
      query,
    ),
  getJob: ({ id }, world) => ({ job: requireById(world.jobs, id, "job") }),
  cancelJob: ({ id, server }, world) => {
    const job = requireById(world.jobs, id, "job");
    Object.assign(job, { state: "cancelled", endedAt: Date.now(), cancellable: false });
    server.publish({ type: "job", job });
    return { job };
  },
  listLeases: ({ query }, world) =>
    page(
      world.leases.filter((one) =>
        contains(query.q, one.username, one.machine?.name, one.terminal) &&
        query.active === (one.endedAt === null) && (!query.state || one.state === query.state) &&
        (!query.desktopPoolId || one.desktopPoolId === query.desktopPoolId) &&
        (!query.userId || one.userId === query.userId) &&
        (!query.machineId || one.machine?.id === query.machineId)
      ),
      query,
    ),
  endLease: ({ id, server }, world) => {
    const lease = requireById(world.leases, id, "session");
    Object.assign(lease, { state: "ended", endedAt: Date.now(), endReason: "Ended by admin" });
    const machine = world.machines.find((one) => one.lease?.id === id);
    if (machine) machine.lease = null;
    server.publish({ type: "lease", lease });
  },
  listAudit: ({ query }, world) =>
    page(
      world.audit.filter((one) =>
        contains(query.q, one.actor, one.action, one.subjectName) &&
        (!query.actor || one.actor === query.actor) &&
        (!query.action || one.action.startsWith(query.action)) &&
        (!query.outcome || one.outcome === query.outcome) &&
        (!query.subjectId || one.subjectId === query.subjectId)
      ),
      query,
    ),
  getSettings: (_, world) => ({ settings: world.settings }),
  updateSettings: ({ body }, world) => {
    Object.assign(world.settings, body);
    return { settings: world.settings };
  },
};
