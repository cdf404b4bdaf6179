/** Made-up installations for looking at the UI: an empty one, and one with 2,000 machines. */
import type { DesktopPoolDetail } from "../../contracts/desktop_pool.ts";
import type { Machine } from "../../contracts/machine.ts";
import { Settings } from "../../contracts/settings.ts";
import { addImages } from "./ui_images_world.ts";
import {
  admin,
  countMachines,
  GiB,
  idOf,
  makeHypervisor,
  makeJob,
  makeMachine,
  makePool,
  makeUser,
  minute,
  type World,
} from "./ui_world_parts.ts";

export function emptyWorld(): World {
  return {
    machines: [],
    pools: [],
    users: [admin],
    hypervisors: [makeHypervisor(1)],
    jobs: [],
    leases: [],
    audit: [],
    warnings: [],
    settings: Settings.parse({}),
    images: [],
    files: {},
    uploads: [],
    dataDisks: [],
  };
}

const groups = [
  {
    name: "win11-office",
    os: "windows",
    pool: "Office desktop",
    text: "Windows 11 with the office suite",
    clones: 900,
  },
  {
    name: "debian-lab",
    os: "linux",
    pool: "Linux lab",
    text: "Debian with compilers and editors",
    clones: 600,
  },
  {
    name: "cad-station",
    os: "windows",
    pool: "CAD workstation",
    text: "For the engineering team",
    clones: 400,
  },
  { name: "kiosk", os: "linux", pool: "Library kiosk", text: "A browser, reset after every use", clones: 80 },
] as const;

export function largeWorld(): World {
  const world = emptyWorld();
  world.hypervisors = [1, 2, 3].map((n) => makeHypervisor(n));
  Object.assign(world.hypervisors[2]!, {
    state: "offline",
    stateReason:
      "The agent does not answer on its socket since 14:02. Start it with: systemctl start kvm-vdi-agent",
    stateSince: Date.now() - 38 * minute,
    load: null,
  });
  Object.assign(world.hypervisors[1]!, { agentOutdated: true, agentVersion: "0.9.4" });
  world.users = [admin, ...Array.from({ length: 240 }, (_, n) => makeUser(n + 1))];
  let next = 1;
  for (const [place, group] of groups.entries()) next = addGroup(world, place, group, next);
  for (const name of ["dns-1", "print-server", "license-server", "build-agent"]) {
    world.machines.push(makeMachine(next++, { name, role: "simple", state: "running", populatedAt: null }));
  }
  addJobs(world);
  addImages(world);
  addAudit(world);
  countMachines(world);
  world.warnings = [
    {
      id: `agent-outdated:${idOf(2, 2)}`,
      severity: "info",
      message: "The agent of hv-2 (0.9.4) is not this dashboard's release.",
      link: `/hypervisors/${idOf(2, 2)}`,
    },
    {
      id: "hv-3-offline",
      severity: "danger",
      message: "Hypervisor hv-3 is offline since 38 minutes.",
      link: `/hypervisors/${idOf(2, 3)}`,
    },
    {
      id: "outdated",
      severity: "warning",
      message: "126 machines of win11-office are on an older image: populate them.",
      link: "/machines?view=grouped",
    },
    {
      id: "jobs",
      severity: "warning",
      message: "2 jobs failed in the last 24 hours.",
      link: "/jobs?state=failed",
    },
  ];
  return world;
}

function addGroup(world: World, place: number, group: (typeof groups)[number], first: number): number {
  const source = makeMachine(first, {
    name: `${group.name}-source`,
    role: "source",
    osType: group.os,
    cloneCount: 1,
    populatedAt: null,
    iso: place === 0 ? "/var/lib/kvm-vdi/iso/virtio-win.iso" : null,
  });
  const initial = makeMachine(first + 1, {
    name: group.name,
    role: "initial",
    osType: group.os,
    sourceId: source.id,
    cloneCount: group.clones,
    populatedAt: null,
  });
  const pool = makePool(place + 1, group.pool, group.text);
  world.pools.push(pool);
  world.machines.push(source, initial);
  pool.entitlements.userIds = world.users.filter((_, n) => n % groups.length === place && n > 0).map((user) =>
    user.id
  );
  for (const id of pool.entitlements.userIds) {
    world.users.find((user) => user.id === id)!.desktopPools.push({ id: pool.id, name: pool.name });
  }
  for (let n = 0; n < group.clones; n++) addClone(world, { pool, initial, n, id: first + 2 + n });
  pool.entitledUsers = pool.entitlements.userIds.length;
  return first + 2 + group.clones;
}

function addClone(
  world: World,
  clone: { pool: DesktopPoolDetail; initial: Machine; n: number; id: number },
): void {
  const { pool, initial, n, id } = clone;
  const leased = n % 7 === 0 && n / 7 < pool.entitlements.userIds.length;
  const state = leased || n % 3 === 0 ? "running" : n % 97 === 50 ? "crashed" : "shut-off";
  const machine = makeMachine(id, {
    name: `${initial.name}-${String(n + 1).padStart(3, "0")}`,
    osType: initial.osType,
    sourceId: initial.id,
    hypervisorId: idOf(2, n % 3 + 1),
    state,
    stateReason: state === "crashed" ? "crashed" : null,
    maintenance: n % 41 === 20,
    virtualSnapshot: pool.policy.afterUse === "reset",
    outdated: initial.name === "win11-office" && n % 7 === 3,
    populatedAt: n % 131 === 100 ? null : Date.now() - 3 * 86_400_000,
    pendingAction: n % 89 === 12 ? "start" : null,
    viewers: leased ? 1 : 0,
    desktopPools: [{ id: pool.id, name: pool.name }],
  });
  if (leased) machine.lease = addLease(world, pool, machine, n / 7);
  pool.machineIds.push(machine.id);
  world.machines.push(machine);
}

function addLease(world: World, pool: DesktopPoolDetail, machine: Machine, n: number): Machine["lease"] {
  const user = world.users.find((one) => one.id === pool.entitlements.userIds[n])!;
  const startedAt = Date.now() - (n * 13 + 2) * minute;
  const starting = n % 11 === 5;
  world.leases.push({
    id: idOf(5, world.leases.length + 1),
    desktopPoolId: pool.id,
    desktopPoolName: pool.name,
    state: starting ? "preparing" : "ready",
    stage: starting ? "starting" : "ready",
    machine: { id: machine.id, name: machine.name, state: machine.state },
    error: null,
    userPower: true,
    volatile: machine.virtualSnapshot,
    terminal: `LAB-${String(n + 1).padStart(2, "0")}`,
    notice: n === 2 ? { message: "Your desktop will be renewed", endsAt: Date.now() + 5 * minute } : null,
    queued: starting ? 2 : null,
    startedAt,
    readyAt: starting ? null : startedAt + 9000,
    lastHeartbeatAt: Date.now() - 12_000,
    userId: user.id,
    username: user.username,
    hypervisorName: `hv-${Number(machine.hypervisorId.slice(-1))}`,
    viewers: 1,
    explanation:
      `${machine.name} was the free machine that is already running on the hypervisor with the least load.`,
    reasons: [
      {
        machineName: machine.name,
        hypervisorName: `hv-${Number(machine.hypervisorId.slice(-1))}`,
        verdict: "chosen: it runs already, on the hypervisor with the least load",
      },
      { machineName: "reserve-1", hypervisorName: "hv-2", verdict: "free, but its hypervisor is busier" },
      { machineName: "reserve-2", hypervisorName: "hv-3", verdict: "its hypervisor is offline" },
    ],
    endedAt: null,
    endReason: null,
  });
  return { id: idOf(5, world.leases.length), userId: user.id, username: user.username, since: startedAt };
}

function addJobs(world: World): void {
  const initials = world.machines.filter((machine) => machine.role === "initial");
  const copying = makeJob(0, {
    kind: "copy-disk",
    state: "running",
    stage: "Copying the image",
    subjectId: initials[1]!.id,
    subjectName: initials[1]!.name,
    done: 14 * GiB,
    total: 40 * GiB,
    unit: "bytes",
    cancellable: true,
    endedAt: null,
    startedAt: Date.now() - 70_000,
  });
  initials[1]!.jobId = copying.id;
  const populating = makeJob(1, {
    kind: "populate",
    state: "running",
    stage: "Making overlays",
    subjectId: initials[0]!.id,
    subjectName: initials[0]!.name,
    done: 311,
    total: 900,
    cancellable: true,
    endedAt: null,
    startedAt: Date.now() - 9_000,
  });
  initials[0]!.jobId = populating.id;
  world.jobs = [
    copying,
    populating,
    makeJob(3, {
      kind: "copy-disk",
      state: "failed",
      subjectName: "cad-station",
      subjectId: initials[2]!.id,
      done: 21 * GiB,
      total: 60 * GiB,
      unit: "bytes",
      stage: "Copying the image",
      error: {
        code: "hypervisor_failed",
        message:
          "Copy the disk of cad-station-source to cad-station: no space left on /var/lib/kvm-vdi/images. Free at least 39 GiB there, then copy again.",
      },
    }),
    makeJob(4, {
      kind: "populate",
      state: "failed",
      subjectName: "kiosk",
      done: 78,
      total: 80,
      error: { code: "conflict", message: "2 of 80 machines could not be populated." },
      items: [
        { id: idOf(1, 1990), name: "kiosk-012", ok: false, message: "is running: shut it down first" },
        { id: idOf(1, 1991), name: "kiosk-044", ok: false, message: "is running: shut it down first" },
        { id: idOf(1, 1992), name: "kiosk-045", ok: true, message: null },
      ],
    }),
    makeJob(5, {
      kind: "create-machines",
      state: "cancelled",
      subjectName: "cad-station-{nnn}",
      done: 40,
      total: 100,
    }),
    ...Array.from({ length: 90 }, (_, n) => makeJob(n + 6)),
  ];
}

function addAudit(world: World): void {
  const actions = [
    "machine.start",
    "session.sign-in",
    "machine.update",
    "desktop-pool.update",
    "machine.delete",
    "lease.end",
  ];
  world.audit = Array.from({ length: 400 }, (_, n) => ({
    id: 400 - n,
    at: Date.now() - n * 7 * minute,
    actor: n % 9 === 8 ? null : n % 3 === 0 ? "admin" : world.users[n % 50 + 1]!.username,
    address: n % 9 === 8 ? null : `10.1.0.${n % 200}`,
    action: actions[n % actions.length]!,
    subjectId: world.machines[n]!.id,
    subjectName: world.machines[n]!.name,
    outcome: n % 17 === 16 ? "refused" as const : n % 31 === 30 ? "failed" as const : "ok" as const,
    detail: n % 17 === 16 ? "The machine is in use by ada.ahlers." : null,
  }));
}
