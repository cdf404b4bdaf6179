/** A dashboard with one fake hypervisor, populated machines in one desktop pool, and users who may use it. */
import assert from "node:assert/strict";
import type { BodyOf } from "../../contracts/api.ts";
import type { Job } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import {
  type ApiClient,
  startTestDashboard,
  type TestDashboard,
  type TestDashboardOptions,
} from "./dashboard.ts";
import { FakeAgent, type FakeAgentOptions } from "./fake_agent.ts";

export interface LabOptions extends Omit<TestDashboardOptions, "agents"> {
  machines?: number;
  users?: number;
  policy?: BodyOf<"createDesktopPool">["policy"];
  virtualSnapshot?: boolean;
  agent?: FakeAgentOptions;
}

export type LabUser = ApiClient & { userId: string };

export interface Lab extends AsyncDisposable {
  board: TestDashboard;
  admin: ApiClient;
  agent: FakeAgent;
  hypervisorId: string;
  poolId: string;
  machines: Machine[];
  users: LabUser[];
  /** Stops the dashboard and starts it again on the same data. */
  restart(): Promise<void>;
}

/** Nobody waits for a boot in tests. */
export const quickBoot = { withAgentMs: 500, withoutAgentMs: 5, secondMs: 1_000 };

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { machines: count = 3, users: userCount = 2, policy, virtualSnapshot = false, agent: agentOptions } =
    options;
  const agent = new FakeAgent(agentOptions);
  // Room for all of them at once.
  agent.facts = { ...agent.facts, cpus: Math.max(8, count), memoryMiB: Math.max(65_536, count * 4096) };
  const board = await startTestDashboard({ bootTimes: quickBoot, ...options, agents: { hv1: agent } });
  const { admin } = board;
  const machines = await makeDesktops(board, count, virtualSnapshot);
  const { desktopPool } = await admin.call("createDesktopPool", { body: { name: "Lab", policy } });
  const users = await Promise.all(Array.from({ length: userCount }, (_, n) => board.as(`user${n + 1}`)));
  const poolId = desktopPool.id;
  await admin.call("putPoolMachines", { id: poolId, body: { machineIds: machines.map(({ id }) => id) } });
  await admin.call("putEntitlements", { id: poolId, body: { userIds: users.map(({ userId }) => userId) } });
  const hypervisorId = board.hypervisorIds.hv1!;
  const lab: Lab = {
    board,
    admin,
    agent,
    hypervisorId,
    poolId,
    machines,
    users,
    restart: async () => {
      lab.board = await lab.board.restart({ dataDir: board.dataDir });
      lab.admin = lab.board.admin;
      lab.users = await Promise.all(users.map((_, n) => lab.board.as(`user${n + 1}`)));
    },
    [Symbol.asyncDispose]: async () => {
      await lab.board[Symbol.asyncDispose]();
      await agent[Symbol.asyncDispose]();
      await Deno.remove(board.dataDir, { recursive: true }).catch(ignoreMissing);
    },
  };
  return lab;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** A source, its initial and populated vdi machines, by way of the API. */
async function makeDesktops(
  board: TestDashboard,
  count: number,
  virtualSnapshot: boolean,
): Promise<Machine[]> {
  const create = async (body: BodyOf<"createMachines">) => {
    const { job, machines } = await board.admin.call("createMachines", { body });
    await succeeded(board, job);
    return machines;
  };
  const [source] = await create({ name: "source", role: "source", disk: { kind: "blank", bytes: 2 ** 30 } });
  const [initial] = await create({ name: "initial", role: "initial", sourceId: source!.id, copyDisk: true });
  return await create({
    name: "lab-{n}",
    count,
    role: "vdi",
    sourceId: initial!.id,
    virtualSnapshot,
    populate: true,
  });
}

export async function succeeded(board: TestDashboard, { id }: Pick<Job, "id">): Promise<void> {
  const { state, error } = await board.app.jobs.ended(id);
  assert.equal(state, "succeeded", error?.message ?? `the job ended as ${state}`);
}
