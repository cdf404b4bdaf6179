/** What a made-up installation consists of. Deterministic, apart from the time. */
import type { AuditEntry, Overview, Settings, Warning } from "../../contracts/settings.ts";
import type { Lease } from "../../contracts/desktop.ts";
import type { DesktopPoolDetail, PoolCounts } from "../../contracts/desktop_pool.ts";
import { defaultCapacity, type HostKey, type Hypervisor } from "../../contracts/hypervisor.ts";
import type { Image } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import type { DataDisk, StorageFile, Upload } from "../../contracts/storage.ts";
import type { User } from "../../contracts/user.ts";
import type { z } from "zod";

export interface World {
  machines: Machine[];
  pools: DesktopPoolDetail[];
  users: User[];
  hypervisors: Hypervisor[];
  jobs: Job[];
  leases: Lease[];
  audit: AuditEntry[];
  warnings: Warning[];
  settings: z.infer<typeof Settings>;
  images: Image[];
  /** By hypervisor. */
  files: Record<string, StorageFile[]>;
  uploads: Upload[];
  dataDisks: DataDisk[];
}

export const minute = 60_000;
export const GiB = 1024 ** 3;

/** The n-th UUID of a kind; readable in a test's output. */
export const idOf = (kind: number, n: number) =>
  `${String(kind).padStart(8, "0")}-0000-4000-8000-${String(n).padStart(12, "0")}`;

export function makeMachine(n: number, patch: Partial<Machine> = {}): Machine {
  const running = patch.state === "running";
  return {
    id: idOf(1, n),
    name: `machine-${n}`,
    role: "vdi",
    osType: "linux",
    hypervisorId: idOf(2, 1),
    sourceId: null,
    state: "shut-off",
    stateReason: null,
    maintenance: false,
    locked: false,
    virtualSnapshot: false,
    vcpus: 2,
    memoryMiB: 4096,
    mac: `52:54:00:${
      [n >> 16, n >> 8, n].map((part) => (part & 255).toString(16).padStart(2, "0")).join(":")
    }`,
    network: "default",
    video: "qxl",
    iso: null,
    diskBytes: 40 * GiB,
    populatedAt: Date.now() - 3 * 86_400_000,
    outdated: false,
    imageVersion: null,
    dataDisk: null,
    keptFor: null,
    queuedStart: null,
    addresses: running ? [`10.20.${n >> 8 & 255}.${n & 255}`] : [],
    guestAgent: running,
    cpuPercent: running ? n * 37 % 100 : null,
    memoryUsedMiB: running ? 1200 + n * 53 % 2600 : null,
    viewers: 0,
    pendingAction: null,
    jobId: null,
    desktopPools: [],
    lease: null,
    cloneCount: 0,
    notes: "",
    createdAt: Date.now() - 90 * 86_400_000,
    updatedAt: Date.now() - n % 600 * minute,
    ...patch,
  };
}

/** The n-th host key of this made-up world. */
export const hostKeyOf = (n: number): HostKey => ({
  algorithm: "ssh-ed25519",
  key: btoa(`host key number ${n} of the test`),
  fingerprint: `SHA256:${"n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg".slice(0, 42)}${n % 10}`,
});

export function makeHypervisor(n: number, patch: Partial<Hypervisor> = {}): Hypervisor {
  const storage = [
    {
      kind: "images" as const,
      path: "/var/lib/kvm-vdi/images",
      totalBytes: 4000 * GiB,
      freeBytes: (2300 - n * 600) * GiB,
    },
    { kind: "iso" as const, path: "/var/lib/kvm-vdi/iso", totalBytes: 200 * GiB, freeBytes: 150 * GiB },
    {
      kind: "scratch" as const,
      path: "/var/lib/kvm-vdi/scratch",
      totalBytes: 800 * GiB,
      freeBytes: 690 * GiB,
    },
  ];
  return {
    id: idOf(2, n),
    name: `hv-${n}`,
    address: n === 1 ? "local" : `10.0.0.${n}`,
    ssh: n === 1 ? null : {
      address: `10.0.0.${n}`,
      port: 22,
      username: "kvm-vdi",
      hostKey: hostKeyOf(n),
    },
    socketPath: "/run/kvm-vdi/agent.sock",
    state: "online",
    stateReason: null,
    stateSince: Date.now() - 12 * 86_400_000,
    maintenance: false,
    drain: null,
    agentVersion: "1.0.0",
    agentCommit: "4f2a9c1",
    agentContract: 2,
    agentOutdated: false,
    jobId: null,
    displayAddress: null,
    capacity: defaultCapacity,
    committed: { memoryMiB: 0, vcpus: 0, running: 0 },
    facts: {
      hostname: `hv-${n}.lab.example`,
      cpuModel: "AMD EPYC 7543P 32-Core Processor",
      cpus: 64,
      memoryMiB: 512 * 1024,
      libvirtVersion: "9.0.0",
      qemuVersion: "7.2.15",
      domainType: "kvm",
      kvm: { state: "works", detail: "A probe guest ran with KVM in 0.4 s." },
      displays: ["spice", "vnc"],
      networks: [
        { name: "default", kind: "network", active: true },
        { name: "br0", kind: "bridge", active: true },
      ],
      storage,
      settings: {
        imageDir: "/var/lib/kvm-vdi/images",
        isoDir: "/var/lib/kvm-vdi/iso",
        scratchDir: "/var/lib/kvm-vdi/scratch",
        domainType: "auto",
        displayListen: "loopback",
      },
      serviceManager: "systemd",
    },
    load: {
      at: Date.now(),
      cpuPercent: 34 + n * 11,
      load1: 12.4 + n,
      memoryUsedMiB: (180 + n * 60) * 1024,
      storage,
    },
    defaultNetwork: "default",
    machineCount: 0,
    runningCount: 0,
    createdAt: Date.now() - 200 * 86_400_000,
    ...patch,
  };
}

export function makeJob(n: number, patch: Partial<Job> = {}): Job {
  return {
    id: idOf(3, n),
    kind: "bulk",
    state: "succeeded",
    stage: "Done",
    done: 20,
    total: 20,
    unit: "items",
    subjectId: null,
    subjectName: "start 20 machines",
    error: null,
    items: [],
    cancellable: false,
    requestedBy: "admin",
    createdAt: Date.now() - n * 17 * minute,
    startedAt: Date.now() - n * 17 * minute + 500,
    endedAt: Date.now() - n * 17 * minute + 42_000,
    ...patch,
  };
}

const firstNames = [
  "Ada",
  "Bela",
  "Carla",
  "Dmitri",
  "Eva",
  "Farid",
  "Greta",
  "Hiro",
  "Ines",
  "Jonas",
  "Katya",
  "Liam",
];
const lastNames = [
  "Ahlers",
  "Brandt",
  "Costa",
  "Dvorak",
  "Eriksen",
  "Fischer",
  "Garcia",
  "Hoang",
  "Ivanova",
  "Jansen",
];

export function makeUser(n: number, patch: Partial<User> = {}): User {
  const first = firstNames[n % firstNames.length]!;
  const last = lastNames[n % lastNames.length]!;
  return {
    id: idOf(4, n),
    username: `${first}.${last}${n >= 60 ? n : ""}`.toLowerCase(),
    displayName: `${first} ${last}`,
    role: "user",
    disabled: n % 29 === 28,
    lockedUntil: n % 23 === 22 ? Date.now() + 9 * minute : null,
    desktopPools: [],
    lastSignInAt: n % 7 === 6 ? null : Date.now() - n * 47 * minute,
    createdAt: Date.now() - 60 * 86_400_000,
    ...patch,
  };
}

export const admin = makeUser(0, {
  username: "admin",
  displayName: "Alex Admin",
  role: "admin",
  lockedUntil: null,
  disabled: false,
});

export const noMachines: PoolCounts = {
  total: 0,
  free: 0,
  inUse: 0,
  spares: 0,
  starting: 0,
  maintenance: 0,
  full: 0,
  broken: 0,
};

export function makePool(n: number, name: string, description: string): DesktopPoolDetail {
  return {
    id: idOf(6, n),
    name,
    description,
    enabled: n !== 3,
    policy: {
      afterUse: n === 4 ? "reset" : n === 2 ? "shutdown" : "keep",
      returnAfterMinutes: 5,
      userPower: true,
      spares: n === 1 ? 10 : 0,
      schedule: n === 1
        ? [
          { days: [1, 2, 3, 4, 5], at: "07:45", action: "start", count: 30 },
          { days: [0, 1, 2, 3, 4, 5, 6], at: "22:00", action: "shut-down-idle", count: 1 },
        ]
        : [],
      dataDisk: n === 2 ? { scope: "user", bytes: 20 * GiB } : null,
    },
    counts: { ...noMachines },
    entitledUsers: 0,
    createdAt: Date.now() - 80 * 86_400_000,
    machineIds: [],
    entitlements: { userIds: [], groupIds: [] },
  };
}

/** Brings the counts of pools and hypervisors in step with the machines. */
export function countMachines(world: World): void {
  for (const hypervisor of world.hypervisors) {
    const own = world.machines.filter((machine) => machine.hypervisorId === hypervisor.id);
    const running = own.filter((machine) => machine.state === "running");
    hypervisor.machineCount = own.length;
    hypervisor.runningCount = running.length;
    hypervisor.committed = {
      memoryMiB: running.reduce((sum, machine) => sum + machine.memoryMiB, 0),
      vcpus: running.reduce((sum, machine) => sum + machine.vcpus, 0),
      running: running.length,
    };
  }
  for (const pool of world.pools) {
    const members = world.machines.filter((machine) => pool.machineIds.includes(machine.id));
    pool.counts = countPool(world, members);
    pool.entitledUsers = pool.entitlements.userIds.length;
  }
}

function countPool(world: World, members: Machine[]): PoolCounts {
  const counts: PoolCounts = { ...noMachines, total: members.length };
  for (const machine of members) {
    const lease = machine.lease && world.leases.find((one) => one.id === machine.lease?.id);
    const host = world.hypervisors.find((one) => one.id === machine.hypervisorId);
    const offline = host?.state === "offline";
    const full = host?.capacity.maxRunning !== null && host?.runningCount === host?.capacity.maxRunning;
    if (lease) counts[lease.state === "ready" ? "inUse" : "starting"]++;
    else if (machine.maintenance || machine.locked || host?.maintenance) counts.maintenance++;
    else if (offline || machine.state === "crashed" || machine.populatedAt === null) counts.broken++;
    else if (full && machine.state === "shut-off") counts.full++;
    else {
      counts.free++;
      if (machine.state === "running") counts.spares++;
    }
  }
  return counts;
}

export function overviewOf(world: World): Overview {
  const byRole = { simple: 0, source: 0, initial: 0, vdi: 0 };
  for (const machine of world.machines) byRole[machine.role]++;
  const sum = (pick: (counts: PoolCounts) => number) =>
    world.pools.reduce((total, pool) => total + pick(pool.counts), 0);
  return {
    machines: {
      total: world.machines.length,
      running: world.machines.filter((machine) => machine.state === "running").length,
      byRole,
    },
    desktops: {
      inUse: sum((c) => c.inUse),
      starting: sum((c) => c.starting),
      free: sum((c) => c.free),
      total: sum((c) => c.total),
    },
    desktopPoolCount: world.pools.length,
    userCount: world.users.filter((user) => user.role === "user").length,
    entitlementCount: world.pools.reduce((total, pool) => total + pool.entitlements.userIds.length, 0),
    runningJobs: world.jobs.filter((job) => job.state === "running").length,
    failedJobs24h: world.jobs.filter((job) => job.state === "failed").length,
    warnings: world.warnings,
  };
}
