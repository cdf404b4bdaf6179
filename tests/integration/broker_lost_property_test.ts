/** Hypervisors come and go at random: nobody's work is given to anybody else, and nobody waits while there is a machine. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Desktop } from "../../contracts/desktop.ts";
import { CallError } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { startTwoHypervisors, type TwoHypervisors } from "../support/two_hypervisors.ts";

const userCount = 4;
const user = fc.nat({ max: userCount - 1 });
const host = fc.constantFrom("one" as const, "two" as const);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("get" as const), users: fc.uniqueArray(user, { minLength: 1 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("end" as const), user }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("lose" as const), host, forSeconds: fc.constantFrom(5, 30, 30) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("back" as const), host }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(5, 30, 60, 400) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface World {
  stand: TwoHypervisors;
  held: Map<number, Desktop>;
  offline: Set<"one" | "two">;
}

async function carryOut({ stand, held, offline }: World, act: Step): Promise<void> {
  switch (act.do) {
    case "get":
      return void await Promise.all(act.users.map(async (n) => {
        try {
          const body = { desktopPoolId: stand.poolId };
          const { desktop } = await stand.users[n]!.call("getDesktop", { body });
          await checkKept(stand, held.get(n), desktop);
          held.set(n, desktop);
        } catch (error) {
          if (!(error instanceof CallError) || error.code !== "no_capacity") throw error;
        }
      }));
    case "end": {
      const desktop = held.get(act.user);
      return desktop && await stand.users[act.user]!.call("endMyDesktop", { id: desktop.id });
    }
    case "lose":
      offline.add(act.host);
      stand[act.host].goOffline();
      await untilIs(stand, act.host, "offline");
      stand.clock.now += act.forSeconds * 1000;
      return;
    case "back":
      offline.delete(act.host);
      stand[act.host].comeBack();
      return await untilIs(stand, act.host, "online");
    case "wait":
      stand.clock.now += act.seconds * 1000;
      return await stand.board.app.leases.sweep();
    case "restart":
      await stand.restart();
      for (const name of ["one", "two"] as const) {
        if (!offline.has(name)) await untilIs(stand, name, "online");
      }
  }
}

const untilIs = async (stand: TwoHypervisors, name: "one" | "two", state: "online" | "offline") =>
  void await eventually(
    `${name} is ${state}`,
    () => stand.board.app.agents.status(stand.ids[name]).state === state,
    {
      everyMs: 2,
    },
  );

/** Whoever got another machine because his was lost finds his own kept. */
async function checkKept(
  { admin }: TwoHypervisors,
  before: Desktop | undefined,
  now: Desktop,
): Promise<void> {
  if (!before || before.id === now.id) return;
  const { items } = await admin.call("listLeases", { query: { active: "false", limit: 500 } });
  const lease = items.find(({ id }) => id === before.id);
  if (!lease || !/got another machine/.test(lease.endReason ?? "")) return;
  const { machine } = await admin.call("getMachine", { id: lease.machine!.id });
  assert.equal(machine.keptFor?.userId, lease.userId, "the lost machine is kept for its user");
}

async function checkPromises({ stand }: World): Promise<void> {
  const { admin, board } = stand;
  const { items: leases } = await admin.call("listLeases", { query: { limit: 100 } });
  const { items: machines } = await admin.call("listMachines", { query: { limit: 100 } });
  const ids = leases.map((lease) => lease.machine?.id);
  assert.equal(new Set(ids).size, ids.length, "two users never hold one machine");
  assert.equal(new Set(leases.map(({ userId }) => userId)).size, leases.length, "nobody holds two");
  for (const machine of machines) {
    if (machine.keptFor === null) continue;
    assert.equal(machine.lease, null, "a machine that is kept is held by nobody");
    assert.equal(board.app.jobs.holderOf(machine.id), null, "what is kept is not reset");
  }
}

Deno.test("users of hypervisors that come and go keep their work, under any interleaving", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: "max" }), async (steps) => {
      await using stand = await startTwoHypervisors({
        machines: 2,
        users: userCount,
        policy: { afterUse: "shutdown", returnAfterMinutes: 5 },
        agent: { shutdownMs: 2, bootMs: 2 },
      });
      const world: World = { stand, held: new Map(), offline: new Set() };
      // Half of the machines are in use when it begins.
      await carryOut(world, { do: "get", users: [0, 1] });
      for (const act of steps) {
        await carryOut(world, act);
        await checkPromises(world);
      }
      for (const name of ["one", "two"] as const) {
        await carryOut(world, { do: "back", host: name });
      }
      stand.clock.now += 9 * 3_600_000;
      await stand.board.app.leases.sweep();
      const { items } = await stand.admin.call("listMachines", { query: { limit: 100 } });
      assert.ok(items.every(({ keptFor }) => keptFor === null), "nothing is kept for ever");
      await Promise.all(stand.board.app.jobs.listOpen().map(({ id }) => stand.board.app.jobs.ended(id)));
      const body = { desktopPoolId: stand.poolId };
      await Promise.all(stand.users.map((one) => one.call("getDesktop", { body })));
    }),
    { numRuns: 10, interruptAfterTimeLimit: 60_000 },
  );
});
