/** The broker's promises under random interleavings: whatever happens at once, they hold after every step. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Desktop } from "../../contracts/desktop.ts";
import { CallError } from "../support/dashboard.ts";
import { type Lab, startLab } from "../support/lab.ts";

const machineCount = 4;
const userCount = 6;

const user = fc.nat({ max: userCount - 1 });
const machine = fc.nat({ max: machineCount - 1 });
const pool = fc.nat({ max: 1 });
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("get" as const), user, pool }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("end" as const), user, pool }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("beat" as const), user, pool }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kick" as const), user, pool }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("power" as const), user, pool }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("maintenance" as const), machine, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), machine }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("entitle" as const),
      pool,
      users: fc.uniqueArray(user, { minLength: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("wait" as const), minutes: fc.integer({ min: 1, max: 8 }) }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  { weight: 12, arbitrary: fc.array(action, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

interface World {
  lab: Lab;
  pools: string[];
  clock: { now: number };
  /** The last desktop that each user got in each pool. */
  held: Map<string, Desktop>;
}

/** Answers that are right for somebody: everything else is a failure of the broker. */
const expectedCodes: Record<Action["do"], string[]> = {
  get: ["no_capacity", "forbidden"],
  end: [],
  beat: [],
  kick: ["conflict"],
  power: ["conflict", "forbidden"],
  maintenance: [],
  crash: [],
  entitle: [],
  wait: [],
};

async function perform(world: World, act: Action): Promise<void> {
  try {
    await carryOut(world, act);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    assert.ok(expectedCodes[act.do].includes(error.code), `${act.do}: ${error.code}: ${error.message}`);
  }
}

async function carryOut({ lab, pools, clock, held }: World, act: Action): Promise<void> {
  switch (act.do) {
    case "get": {
      const body = { desktopPoolId: pools[act.pool]!, terminal: `device-${Math.random()}` };
      const { desktop } = await lab.users[act.user]!.call("getDesktop", { body });
      assert.ok(desktop.machine, "a desktop has a machine");
      return void held.set(`${act.user} ${act.pool}`, desktop);
    }
    case "maintenance": {
      const id = lab.machines[act.machine]!.id;
      return void await lab.admin.call("updateMachine", { id, body: { maintenance: act.on } });
    }
    case "crash": {
      const { id } = lab.machines[act.machine]!;
      if (lab.agent.domains.get(id)?.state === "running") {
        lab.agent.change(id, { state: "shut-off", guestAgent: false });
      }
      return;
    }
    case "entitle": {
      const userIds = act.users.map((n) => lab.users[n]!.userId);
      return void await lab.admin.call("putEntitlements", { id: pools[act.pool]!, body: { userIds } });
    }
    case "wait":
      clock.now += act.minutes * 60_000;
      return await lab.board.app.leases.sweep();
  }
  const desktop = held.get(`${act.user} ${act.pool}`);
  const client = lab.users[act.user]!;
  if (!desktop) return;
  if (act.do === "end") return await client.call("endMyDesktop", { id: desktop.id });
  if (act.do === "beat") return void await client.call("heartbeat", { id: desktop.id });
  if (act.do === "kick") return await lab.admin.call("endLease", { id: desktop.id });
  await client.call("powerMyDesktop", { id: desktop.id, body: { action: "destroy" } });
}

/** What must hold at any time. */
async function checkPromises({ lab, pools }: World): Promise<void> {
  const { items: active } = await lab.admin.call("listLeases", { query: { limit: 500 } });
  const machines = active.map((lease) => lease.machine?.id);
  assert.equal(new Set(machines).size, machines.length, "two users never hold one machine");
  const holders = active.map((lease) => `${lease.userId} ${lease.desktopPoolId}`);
  assert.equal(new Set(holders).size, holders.length, "one user never holds two in one pool");
  const holds = lab.board.app.jobs.holds();
  for (const id of machines) assert.ok(!holds.has(id!), "nobody holds a machine that is being reset");
  for (const id of pools) {
    const { counts, entitlements } = (await lab.admin.call("getDesktopPool", { id })).desktopPool;
    const { total, spares: _of, ...parts } = counts;
    assert.equal(Object.values(parts).reduce((sum, count) => sum + count, 0), total);
    for (const lease of active.filter(({ desktopPoolId }) => desktopPoolId === id)) {
      assert.ok(entitlements.userIds.includes(lease.userId), "who has lost the entitlement holds nothing");
    }
  }
}

/** With nothing else going on, as many users are served as there are free machines. */
async function checkNoFalseRefusal(world: World): Promise<void> {
  const { lab, pools } = world;
  const id = pools[0]!;
  await untilSettled(lab);
  await lab.admin.call("putEntitlements", { id, body: { userIds: lab.users.map(({ userId }) => userId) } });
  const before = (await lab.admin.call("getDesktopPool", { id })).desktopPool.counts.free;
  const { items } = await lab.admin.call("listLeases", { query: { desktopPoolId: id } });
  const without = lab.users.filter(({ userId }) => !items.some((lease) => lease.userId === userId));
  const results = await Promise.allSettled(
    without.map((client) => client.call("getDesktop", { body: { desktopPoolId: id } })),
  );
  const served = results.filter(({ status }) => status === "fulfilled").length;
  assert.equal(served, Math.min(before, without.length), "nobody is refused while a machine is free");
}

/** Waits for resets; machines that come back change the counts. */
async function untilSettled({ board }: Lab): Promise<void> {
  await Promise.all(board.app.jobs.listOpen().map(({ id }) => board.app.jobs.ended(id)));
}

for (const afterUse of ["keep", "shutdown", "reset"] as const) {
  Deno.test(`the broker keeps its promises under any interleaving, policy ${afterUse} (defects 9, 10, 11)`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const clock = { now: Date.now() };
        const policy = { afterUse, returnAfterMinutes: 5 };
        await using lab = await startLab({
          machines: machineCount,
          users: userCount,
          policy,
          virtualSnapshot: afterUse === "keep",
          agent: { populateMs: 3, shutdownMs: 3, bootMs: 3 },
          now: () => clock.now,
        });
        const world: World = { lab, pools: [lab.poolId, await addPool(lab, policy)], clock, held: new Map() };
        for (const one of steps) {
          if (one === "restart") await lab.restart();
          else await Promise.all(one.map((act) => perform(world, act)));
          await checkPromises(world);
        }
        await checkNoFalseRefusal(world);
      }),
      { numRuns: 12, interruptAfterTimeLimit: 60_000 },
    );
  });
}

/** A second pool with the same machines and users: machines are contended across pools, too. */
async function addPool(
  lab: Lab,
  policy: { afterUse: "keep" | "shutdown" | "reset"; returnAfterMinutes: number },
) {
  const { desktopPool: { id } } = await lab.admin.call("createDesktopPool", {
    body: { name: "Second", policy },
  });
  await lab.admin.call("putPoolMachines", { id, body: { machineIds: lab.machines.map((one) => one.id) } });
  await lab.admin.call("putEntitlements", { id, body: { userIds: lab.users.map((one) => one.userId) } });
  return id;
}

Deno.test("200 users at once get 200 machines: no failure, none given twice (defect 9)", async () => {
  await using lab = await startLab({ machines: 200, users: 200 });
  const desktops = await Promise.all(
    lab.users.map(async (client) =>
      (await client.call("getDesktop", { body: { desktopPoolId: lab.poolId } })).desktop
    ),
  );
  assert.equal(new Set(desktops.map(({ machine }) => machine?.id)).size, 200);
  const late = await lab.board.as("late");
  const { desktopPool } = await lab.admin.call("getDesktopPool", { id: lab.poolId });
  const userIds = [...desktopPool.entitlements.userIds, late.userId];
  await lab.admin.call("putEntitlements", { id: lab.poolId, body: { userIds } });
  await assert.rejects(late.call("getDesktop", { body: { desktopPoolId: lab.poolId } }), {
    code: "no_capacity",
  });
});
