import assert from "node:assert/strict";
import { type DesktopPool, DesktopPoolPolicy } from "../../contracts/desktop_pool.ts";
import { defaultCapacity, type Hypervisor } from "../../contracts/hypervisor.ts";
import { findWarnings, type WarningFacts } from "./warnings.ts";

const GiB = 1024 ** 3;
const dayMs = 86_400_000;

const hypervisor = (changes: Partial<Hypervisor> = {}): Hypervisor => ({
  id: "h1",
  name: "host",
  address: "local",
  ssh: null,
  socketPath: "/run/kvm-vdi/agent.sock",
  state: "online",
  stateReason: null,
  stateSince: 0,
  maintenance: false,
  drain: null,
  agentVersion: "1",
  agentCommit: null,
  agentContract: 1,
  agentOutdated: false,
  jobId: null,
  displayAddress: null,
  capacity: defaultCapacity,
  committed: { memoryMiB: 0, vcpus: 0, running: 0 },
  facts: null,
  load: null,
  defaultNetwork: null,
  machineCount: 0,
  runningCount: 0,
  createdAt: 0,
  ...changes,
});

const pool = (broken: number, counts: Partial<DesktopPool["counts"]> = {}): DesktopPool => ({
  id: "p1",
  name: "Lab",
  description: "",
  enabled: true,
  policy: DesktopPoolPolicy.parse({}),
  counts: {
    total: 10,
    free: 10 - broken,
    inUse: 0,
    spares: 0,
    starting: 0,
    maintenance: 0,
    full: 0,
    broken,
    ...counts,
  },
  entitledUsers: 0,
  createdAt: 0,
});

const storage = (freeGiB: number, totalGiB: number) => ({
  load: {
    at: 0,
    cpuPercent: 0,
    load1: 0,
    memoryUsedMiB: 0,
    storage: [{
      kind: "images" as const,
      path: "/images",
      freeBytes: freeGiB * GiB,
      totalBytes: totalGiB * GiB,
    }],
  },
});

const warn = (facts: Partial<WarningFacts>) =>
  findWarnings({
    hypervisors: [],
    desktopPools: [],
    failedJobs24h: 0,
    certificateExpiresAt: null,
    now: 0,
    ...facts,
  })
    .map(({ id, severity }) => `${severity} ${id}`);

Deno.test("findWarnings() is silent when all is well", () => {
  const hypervisors = [hypervisor(storage(500, 1000))];
  assert.deepEqual(warn({ hypervisors, desktopPools: [pool(0)], certificateExpiresAt: 300 * dayMs }), []);
});

Deno.test("findWarnings() tells of hypervisors, disks, desktops, jobs and certificates, the gravest first", () => {
  assert.deepEqual(
    warn({
      hypervisors: [
        hypervisor({ state: "offline", stateReason: "no route" }),
        hypervisor({ agentOutdated: true }),
      ],
      desktopPools: [pool(3)],
      failedJobs24h: 2,
      certificateExpiresAt: 10 * dayMs,
    }),
    [
      "danger hypervisor-offline:h1",
      "warning desktops-broken:p1",
      "warning jobs-failed",
      "warning certificate-expiring",
      "info agent-outdated:h1",
    ],
  );
});

Deno.test("findWarnings() judges free space by share and by size", () => {
  const disk = (freeGiB: number, totalGiB: number) =>
    warn({ hypervisors: [hypervisor(storage(freeGiB, totalGiB))] });
  assert.deepEqual(disk(90, 1000), []);
  assert.deepEqual(disk(15, 1000), ["danger disk-low:h1:/images"]);
  assert.deepEqual(disk(15, 200), ["warning disk-low:h1:/images"]);
  assert.deepEqual(disk(1, 10), ["danger disk-low:h1:/images"]);
});

Deno.test("findWarnings() tells of pools that only lack room, and of hypervisors that are empty", () => {
  assert.deepEqual(warn({ desktopPools: [pool(0, { free: 0, full: 3 })] }), ["warning desktops-full:p1"]);
  assert.deepEqual(warn({ desktopPools: [pool(0, { free: 1, full: 3 })] }), []);
  const drain = { mode: "wait" as const, since: 0, endsAt: null, sessionsLeft: 0, runningLeft: 0 };
  assert.deepEqual(warn({ hypervisors: [hypervisor({ drain })] }), ["info hypervisor-drained:h1"]);
  assert.deepEqual(warn({ hypervisors: [hypervisor({ drain: { ...drain, runningLeft: 1 } })] }), []);
});
