/** A dashboard with two fake hypervisors; a desktop pool has stand-alone machines on both, and time is the test's. */
import type { BodyOf } from "../../contracts/api.ts";
import type { Machine } from "../../contracts/machine.ts";
import {
  type ApiClient,
  startTestDashboard,
  type TestDashboard,
  type TestDashboardOptions,
} from "./dashboard.ts";
import { FakeAgent, type FakeAgentOptions } from "./fake_agent.ts";
import { type LabUser, quickBoot, succeeded } from "./lab.ts";

export interface TwoHypervisorsOptions extends Omit<TestDashboardOptions, "agents" | "now"> {
  /** On each. */
  machines?: number;
  users?: number;
  policy?: BodyOf<"createDesktopPool">["policy"];
  agent?: FakeAgentOptions;
}

export interface TwoHypervisors extends AsyncDisposable {
  board: TestDashboard;
  admin: ApiClient;
  one: FakeAgent;
  two: FakeAgent;
  ids: { one: string; two: string };
  poolId: string;
  machines: { one: Machine[]; two: Machine[] };
  users: LabUser[];
  clock: { now: number };
  restart(): Promise<void>;
}

export async function startTwoHypervisors(options: TwoHypervisorsOptions = {}): Promise<TwoHypervisors> {
  const { machines: count = 2, users: userCount = 4, policy, agent } = options;
  const clock = { now: Date.now() };
  const [one, two] = [new FakeAgent(agent), new FakeAgent(agent)];
  const times = { retryDelaysMs: [5], heartbeatTimeoutMs: 60_000 };
  const board = await startTestDashboard({
    bootTimes: quickBoot,
    agentTimes: times,
    ...options,
    agents: { one, two },
    now: () => clock.now,
  });
  const { admin } = board;
  const ids = { one: board.hypervisorIds.one!, two: board.hypervisorIds.two! };
  const make = async (name: string, hypervisorId: string) => {
    const { job, machines } = await admin.call("createMachines", {
      body: {
        name: `${name}-{n}`,
        count,
        role: "simple",
        hypervisorId,
        disk: { kind: "blank", bytes: 2 ** 30 },
      },
    });
    await succeeded(board, job);
    return machines;
  };
  const machines = { one: await make("one", ids.one), two: await make("two", ids.two) };
  const { desktopPool } = await admin.call("createDesktopPool", { body: { name: "Lab", policy } });
  const users = await Promise.all(Array.from({ length: userCount }, (_, n) => board.as(`user${n + 1}`)));
  const machineIds = [...machines.one, ...machines.two].map(({ id }) => id);
  await admin.call("putPoolMachines", { id: desktopPool.id, body: { machineIds } });
  await admin.call("putEntitlements", {
    id: desktopPool.id,
    body: { userIds: users.map(({ userId }) => userId) },
  });
  const stand: TwoHypervisors = {
    board,
    admin,
    one,
    two,
    ids,
    poolId: desktopPool.id,
    machines,
    users,
    clock,
    restart: async () => {
      stand.board = await stand.board.restart({ dataDir: board.dataDir });
      stand.admin = stand.board.admin;
      stand.users = await Promise.all(users.map((_, n) => stand.board.as(`user${n + 1}`)));
    },
    [Symbol.asyncDispose]: async () => {
      await stand.board[Symbol.asyncDispose]();
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
      await Deno.remove(board.dataDir, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    },
  };
  return stand;
}
