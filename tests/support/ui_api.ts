/** The handlers of the in-memory API behind ui_server.ts. Only what the UI calls. */
import type { Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import { isOpenJob, type Job } from "../../contracts/job.ts";
import type { Machine, PowerAction } from "../../contracts/machine.ts";
import type { CreateMachine } from "../../contracts/machine.ts";
import type { User } from "../../contracts/user.ts";
import type { Handlers, UiServer } from "./ui_server.ts";
import { countMachines, idOf, makeJob, makeMachine, overviewOf, type World } from "./ui_world.ts";

interface Paging {
  limit: number;
  offset?: number | undefined;
  q?: string | undefined;
}

function page<T>(rows: T[], { limit, offset = 0 }: Paging): Page<T> {
  const items = rows.slice(offset, offset + limit);
  return {
    items,
    total: rows.length,
    nextCursor: offset + limit < rows.length ? String(offset + limit) : null,
  };
}

function requireById<T extends { id: string }>(rows: T[], id: string, what: string): T {
  const row = rows.find((one) => one.id === id);
  if (!row) throw new AppError("not_found", `There is no such ${what}.`);
  return row;
}

const contains = (q: string | undefined, ...texts: (string | null | undefined)[]) =>
  !q || texts.some((text) => text?.toLowerCase().includes(q.toLowerCase()));

/** Runs a made-up job: half way after one tick, done after two. */
function runJob(server: UiServer, patch: Partial<Job>, finish: () => void): Job {
  const job = makeJob(0, {
    id: crypto.randomUUID(),
    state: "running",
    done: 0,
    stage: "Working",
    cancellable: true,
    createdAt: Date.now(),
    startedAt: Date.now(),
    endedAt: null,
    ...patch,
  });
  server.world.jobs.unshift(job);
  setTimeout(() => {
    if (!isOpenJob(job)) return;
    job.done = Math.round(job.total / 2);
    server.publish({ type: "job", job });
  }, 150);
  setTimeout(() => {
    if (!isOpenJob(job)) return;
    Object.assign(job, { state: "succeeded", done: job.total, endedAt: Date.now(), stage: "Done" });
    finish();
    server.publish({ type: "job", job });
    server.publish({ type: "overview", overview: overviewOf(server.world) });
  }, 600);
  server.publish({ type: "job", job });
  return structuredClone(job);
}

const stateAfter: Record<PowerAction, Machine["state"]> = {
  start: "running",
  shutdown: "shut-off",
  destroy: "shut-off",
  reboot: "running",
  suspend: "paused",
  resume: "running",
};

function power(server: UiServer, machine: Machine, action: PowerAction): void {
  machine.pendingAction = action;
  setTimeout(() => {
    const state = stateAfter[action];
    Object.assign(machine, makeMachine(0, { ...machine, state, pendingAction: null }), {
      addresses: state === "running" ? ["10.20.0.9"] : [],
    });
    server.publish({ type: "machine", machine });
  }, 400);
}

function changeMany(server: UiServer, ids: string[], action: string): void {
  const world = server.world;
  for (const machine of world.machines.filter((one) => ids.includes(one.id))) {
    if (action === "delete") {
      world.machines.splice(world.machines.indexOf(machine), 1);
      server.publish({ type: "machine-removed", id: machine.id });
      continue;
    }
    if (action.startsWith("maintenance")) machine.maintenance = action.endsWith("on");
    else if (action.startsWith("virtual")) machine.virtualSnapshot = action.endsWith("on");
    else if (action === "populate") Object.assign(machine, { populatedAt: Date.now(), outdated: false });
    else machine.state = stateAfter[action as PowerAction];
    server.publish({ type: "machine", machine });
  }
  countMachines(world);
}

function createMachines(world: World, body: CreateMachine): Machine[] {
  const taken = new Set(world.machines.map((machine) => machine.name));
  const source = world.machines.find((one) => one.id === body.sourceId);
  const made: Machine[] = [];
  for (let n = 1; made.length < (body.count ?? 1); n++) {
    const name = body.name.replace(
      /\{(n+)\}/g,
      (_, digits: string) => String(n).padStart(digits.length, "0"),
    );
    if (taken.has(name)) {
      if (name === body.name) {
        throw new AppError(
          "conflict",
          `Create ${name}: a machine of that name exists. Choose another name.`,
          {
            details: [{ path: "name", message: "is taken" }],
          },
        );
      }
      continue;
    }
    made.push(makeMachine(world.machines.length + made.length + 5000, {
      name,
      role: body.role,
      sourceId: body.sourceId ?? null,
      osType: body.osType ?? source?.osType ?? "linux",
      vcpus: body.vcpus ?? 2,
      memoryMiB: body.memoryMiB ?? 2048,
      hypervisorId: body.hypervisorId ?? world.hypervisors[0]!.id,
      populatedAt: body.populate ? Date.now() : null,
    }));
  }
  if (source) source.cloneCount += made.length;
  world.machines.push(...made);
  return made;
}

function sortMachines(rows: Machine[], sort: string, order: "asc" | "desc"): Machine[] {
  const key = (machine: Machine) =>
    sort === "hypervisor" ? machine.hypervisorId : machine[sort as "name" | "memoryMiB"];
  const sign = order === "asc" ? 1 : -1;
  return [...rows].sort((a, b) => key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0);
}

const GiB = 1024 ** 3;

const sessionOf = (user: User, world: World) => ({
  user,
  expiresAt: Date.now() + 3_600_000,
  siteName: world.settings.siteName,
  version: "1.0.0",
});

export const handlers: Handlers = {
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

  listMachines: ({ query }, world) => {
    const rows = world.machines.filter((one) =>
      contains(query.q, one.name, one.mac, one.lease?.username, ...one.addresses) &&
      (!query.role || one.role === query.role) && (!query.state || one.state === query.state) &&
      (!query.hypervisorId || one.hypervisorId === query.hypervisorId) &&
      (!query.sourceId || one.sourceId === query.sourceId) &&
      (!query.desktopPoolId || one.desktopPools.some((pool) => pool.id === query.desktopPoolId))
    );
    return page(sortMachines(rows, query.sort, query.order), query);
  },
  getMachine: ({ id }, world) => ({ machine: requireById(world.machines, id, "machine") }),
  createMachines: ({ body, server }, world) => {
    const machines = createMachines(world, body);
    const subject = machines[0]!;
    const job = runJob(server, {
      kind: machines.length > 1 ? "create-machines" : "create-machine",
      subjectId: subject.id,
      subjectName: body.name,
      total: machines.length,
    }, () => {
      for (const machine of machines) server.publish({ type: "machine", machine });
    });
    return { job, machines };
  },
  bulkMachines: ({ body, server }) => ({
    job: runJob(server, {
      kind: "bulk",
      subjectName: `${body.action} ${body.ids.length} machines`,
      total: body.ids.length,
    }, () => changeMany(server, body.ids, body.action)),
  }),
  updateMachine: ({ id, body, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    Object.assign(machine, body);
    server.publish({ type: "machine", machine });
    return { machine };
  },
  deleteMachine: ({ id, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    return {
      job: runJob(
        server,
        { kind: "delete-machine", subjectId: id, subjectName: machine.name, total: 1 },
        () => changeMany(server, [id], "delete"),
      ),
    };
  },
  powerMachine: ({ id, body, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    power(server, machine, body.action);
    return { machine };
  },
  copyDisk: ({ id, server }, world) => ({
    job: runJob(server, {
      kind: "copy-disk",
      subjectId: id,
      subjectName: requireById(world.machines, id, "machine").name,
      total: 40 * GiB,
      unit: "bytes",
    }, () => {}),
  }),
  populate: ({ id, server }, world) => {
    const ids = world.machines.filter((one) => one.sourceId === id || one.id === id).map((one) => one.id);
    return {
      job: runJob(server, {
        kind: "populate",
        subjectId: id,
        subjectName: requireById(world.machines, id, "machine").name,
        total: ids.length,
      }, () => changeMany(server, ids, "populate")),
    };
  },
  getMachineDisks: ({ id }, world) => {
    const machine = requireById(world.machines, id, "machine");
    const image = {
      path: "/var/lib/kvm-vdi/images/win11-office.v3.qcow2",
      format: "qcow2",
      virtualBytes: 40 * GiB,
      allocatedBytes: 18 * GiB,
      kind: "image" as const,
    };
    const overlay = {
      path: `/var/lib/kvm-vdi/images/${machine.name}.qcow2`,
      format: "qcow2",
      virtualBytes: 40 * GiB,
      allocatedBytes: 2 * GiB,
      kind: "overlay" as const,
    };
    const chain = machine.role === "vdi" ? [overlay, image] : [{ ...image, path: overlay.path }];
    const scratch = {
      ...overlay,
      path: `/var/lib/kvm-vdi/scratch/${machine.name}.qcow2`,
      allocatedBytes: 90 * 1024 ** 2,
      kind: "scratch" as const,
    };
    return {
      items: [{
        target: "vda",
        bus: "virtio",
        device: "disk" as const,
        chain: machine.virtualSnapshot && machine.state === "running" ? [scratch, ...chain] : chain,
      }],
    };
  },
  kickViewers: () => undefined,

  listHypervisors: ({ query }, world) =>
    page(world.hypervisors.filter((one) => contains(query.q, one.name)), query),
  getHypervisor: ({ id }, world) => ({ hypervisor: requireById(world.hypervisors, id, "hypervisor") }),
  updateHypervisor: ({ id, body, server }, world) => {
    const hypervisor = requireById(world.hypervisors, id, "hypervisor");
    Object.assign(hypervisor, body);
    server.publish({ type: "hypervisor", hypervisor });
    return { hypervisor };
  },
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
  listImportableDomains: () => ({
    items: [{
      id: idOf(9, 1),
      name: "old-server",
      state: "running",
      memoryMiB: 2048,
      disks: ["/srv/old-server.qcow2"],
    }],
  }),

  listDesktopPools: ({ query }, world) =>
    page(world.pools.filter((one) => contains(query.q, one.name, one.description)), query),
  getDesktopPool: ({ id }, world) => ({ desktopPool: requireById(world.pools, id, "desktop pool") }),
  createDesktopPool: ({ body, server }, world) => {
    if (world.pools.some((one) => one.name === body.name)) {
      throw new AppError("conflict", `A desktop pool named ${body.name} exists.`, {
        details: [{ path: "name", message: "is taken" }],
      });
    }
    const desktopPool = {
      id: crypto.randomUUID(),
      name: body.name,
      description: body.description ?? "",
      enabled: body.enabled ?? true,
      policy: { afterUse: "keep" as const, returnAfterMinutes: 5, userPower: true, ...body.policy },
      counts: { total: 0, free: 0, inUse: 0, starting: 0, maintenance: 0, broken: 0 },
      entitledUsers: 0,
      createdAt: Date.now(),
      machineIds: [],
      entitlements: { userIds: [], groupIds: [] },
    };
    world.pools.push(desktopPool);
    server.publish({ type: "overview", overview: overviewOf(world) });
    return { desktopPool };
  },
  updateDesktopPool: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    Object.assign(desktopPool, body, { policy: { ...desktopPool.policy, ...body.policy } });
    server.publish({ type: "desktop-pool", desktopPool });
    return { desktopPool };
  },
  deleteDesktopPool: ({ id, server }, world) => {
    world.pools = world.pools.filter((one) => one.id !== id);
    server.publish({ type: "desktop-pool-removed", id });
  },
  putPoolMachines: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    desktopPool.machineIds = body.machineIds;
    for (const machine of world.machines) {
      machine.desktopPools = machine.desktopPools.filter((pool) => pool.id !== id);
      if (body.machineIds.includes(machine.id)) machine.desktopPools.push({ id, name: desktopPool.name });
    }
    countMachines(world);
    server.publish({ type: "desktop-pool", desktopPool });
    return { desktopPool };
  },
  putEntitlements: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    desktopPool.entitlements = { userIds: body.userIds, groupIds: body.groupIds ?? [] };
    for (const user of world.users) {
      user.desktopPools = user.desktopPools.filter((pool) => pool.id !== id);
      if (body.userIds.includes(user.id)) user.desktopPools.push({ id, name: desktopPool.name });
    }
    countMachines(world);
    server.publish({ type: "overview", overview: overviewOf(world) });
    return { desktopPool };
  },
  explainAllocation: ({ id, query }, world) => {
    const pool = requireById(world.pools, id, "desktop pool");
    if (!pool.enabled) return { machineId: null, explanation: `${pool.name} is switched off. Enable it.` };
    if (!pool.entitlements.userIds.includes(query.userId)) {
      return {
        machineId: null,
        explanation: "The user is not entitled to this desktop pool. Add an entitlement.",
      };
    }
    return {
      machineId: pool.machineIds[0] ?? null,
      explanation:
        "The machine is free, populated, not in maintenance, and its hypervisor has the least load.",
    };
  },

  listUsers: ({ query }, world) =>
    page(
      world.users.filter((one) =>
        contains(query.q, one.username, one.displayName) && (!query.role || one.role === query.role) &&
        (!query.desktopPoolId || one.desktopPools.some((pool) => pool.id === query.desktopPoolId))
      ),
      query,
    ),
  getUser: ({ id }, world) => ({ user: requireById(world.users, id, "user") }),
  createUser: ({ body, server }, world) => {
    if (world.users.some((one) => one.username === body.username)) {
      throw new AppError("conflict", `A user named ${body.username} exists.`, {
        details: [{ path: "username", message: "is taken" }],
      });
    }
    const user = {
      id: crypto.randomUUID(),
      username: body.username,
      displayName: body.displayName ?? "",
      role: body.role ?? "user" as const,
      disabled: false,
      lockedUntil: null,
      desktopPools: [],
      lastSignInAt: null,
      createdAt: Date.now(),
    };
    world.users.push(user);
    server.publish({ type: "user", id: user.id });
    return { user };
  },
  updateUser: ({ id, body, server }, world) => {
    const user = requireById(world.users, id, "user");
    const { unlock, password: _, ...rest } = body;
    Object.assign(user, rest, unlock ? { lockedUntil: null } : {});
    server.publish({ type: "user", id });
    return { user };
  },
  deleteUser: ({ id, server }, world) => {
    world.users = world.users.filter((one) => one.id !== id);
    server.publish({ type: "user", id });
  },
  listGroups: ({ query }) => page([], query),

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
  listMyDesktopPools: ({ server }, world) => ({
    items: world.pools.filter((pool) => pool.entitlements.userIds.includes(server.userId ?? "")).map((
      pool,
    ) => ({
      id: pool.id,
      name: pool.name,
      description: pool.description,
      availability: "ready" as const,
      reason: null,
      freeCount: pool.counts.free,
      userPower: true,
      desktopId: null,
    })),
  }),
  listMyDesktops: ({ server }, world) => ({
    items: world.leases.filter((lease) => lease.userId === server.userId && lease.endedAt === null),
  }),
};
