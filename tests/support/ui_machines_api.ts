/** The machines of the in-memory API behind ui_server.ts. */
import { AppError } from "../../contracts/errors.ts";
import type { CreateMachine, Machine, PowerAction } from "../../contracts/machine.ts";
import { contains, page, requireById, runJob } from "./ui_api_parts.ts";
import type { Handlers, UiServer } from "./ui_server.ts";
import { countMachines, GiB, makeMachine, type World } from "./ui_world_parts.ts";

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
  server.after(400, () => {
    const state = stateAfter[action];
    Object.assign(machine, makeMachine(0, { ...machine, state, pendingAction: null }), {
      addresses: state === "running" ? ["10.20.0.9"] : [],
    });
    server.publish({ type: "machine", machine });
  });
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
      hypervisorId: body.hypervisorIds?.[made.length % body.hypervisorIds.length] ?? body.hypervisorId ??
        world.hypervisors[0]!.id,
      imageVersion: body.populate ? source?.imageVersion ?? null : null,
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

export const machineHandlers: Handlers = {
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
  deleteMachine: ({ id, query, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    const clones = world.machines.filter((one) => machine.role === "initial" && one.sourceId === id);
    if (clones.length > 0 && query.cascade !== "true") {
      throw new AppError("conflict", `Delete ${machine.name}: ${clones.length} machines are clones of it.`);
    }
    const ids = [...clones, machine].map((one) => one.id);
    return {
      job: runJob(
        server,
        { kind: "delete-machine", subjectId: id, subjectName: machine.name, total: ids.length },
        () => changeMany(server, ids, "delete"),
      ),
    };
  },
  powerMachine: ({ id, body, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    power(server, machine, body.action);
    return { machine };
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
    const dataDisk = {
      target: "vdb",
      bus: "virtio",
      device: "disk" as const,
      chain: [{
        ...image,
        path: `/var/lib/kvm-vdi/images/${machine.name}.data.qcow2`,
        virtualBytes: machine.dataDisk?.bytes ?? 0,
        allocatedBytes: GiB,
      }],
    };
    return {
      items: [{
        target: "vda",
        bus: "virtio",
        device: "disk" as const,
        chain: machine.virtualSnapshot && machine.state === "running" ? [scratch, ...chain] : chain,
      }, ...machine.dataDisk ? [dataDisk] : []],
    };
  },
  kickViewers: () => undefined,
};
