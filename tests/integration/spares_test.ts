import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTwoHypervisors, type TwoHypervisors } from "../support/two_hypervisors.ts";

const soon = { everyMs: 10 };
const up = ({ one, two }: TwoHypervisors) =>
  [...one.domains.values(), ...two.domains.values()].filter(({ state }) => state === "running").map((
    { id },
  ) => id);
const untilUp = (stand: TwoHypervisors, count: number) =>
  eventually(`${count} run`, () => up(stand).length === count, soon);
const change = ({ admin, poolId }: TwoHypervisors, policy: object) =>
  admin.call("updateDesktopPool", { id: poolId, body: { policy } });
const counts = async ({ admin, poolId }: TwoHypervisors) =>
  (await admin.call("getDesktopPool", { id: poolId })).desktopPool.counts;
const jobsOf = async ({ admin }: TwoHypervisors, kind: "start-desktops" | "shut-down-desktops") =>
  (await admin.call("listJobs", { query: { kind } })).items;

Deno.test("spares are started on all hypervisors, and again as soon as somebody takes one", async () => {
  await using stand = await startTwoHypervisors({ machines: 3 });
  await change(stand, { spares: 2 });
  await untilUp(stand, 2);
  assert.equal([...stand.one.domains.values()].filter(({ state }) => state === "running").length, 1);
  await eventually("two are counted", async () => (await counts(stand)).spares === 2, soon);
  const { desktop } = await stand.users[0]!.call("getDesktop", { body: { desktopPoolId: stand.poolId } });
  assert.equal(desktop.state, "ready", "a spare is there at once");
  await untilUp(stand, 3);
  await eventually("two are counted", async () => (await counts(stand)).spares === 2, soon);
});

Deno.test("a machine that does not start is not tried again at once; another one becomes the spare", async () => {
  await using stand = await startTwoHypervisors({ machines: 2 });
  stand.one.failNext("power", new AppError("hypervisor_failed", "it is broken"));
  stand.two.failNext("power", new AppError("hypervisor_failed", "it is broken"));
  await change(stand, { spares: 3 });
  await untilUp(stand, 2);
  const asked = () =>
    [...stand.one.calls, ...stand.two.calls].filter(({ method }) => method === "power").length;
  await stand.board.app.poolKeeper.look();
  await stand.board.app.poolKeeper.look();
  assert.equal(asked(), 4);
  stand.clock.now += 61_000;
  await stand.board.app.poolKeeper.look();
  await untilUp(stand, 3);
});

Deno.test("no spares are started where there is no room", async () => {
  await using stand = await startTwoHypervisors({ machines: 3 });
  for (const id of Object.values(stand.ids)) {
    await stand.admin.call("updateHypervisor", { id, body: { capacity: { maxRunning: 1 } } });
  }
  await change(stand, { spares: 5 });
  await untilUp(stand, 2);
  await stand.board.app.poolKeeper.look();
  assert.equal(up(stand).length, 2);
  assert.equal((await counts(stand)).full, 4);
});

/** The next time that it is so late, in the dashboard's zone. */
function nextAt(clock: { now: number }, hour: number, minute: number): number {
  const date = new Date(clock.now);
  date.setHours(hour, minute, 0, 0);
  return date.getTime() > clock.now ? date.getTime() : date.getTime() + 86_400_000;
}

Deno.test("a schedule starts machines in the morning; at night it shuts down what nobody uses, spares too", async () => {
  await using stand = await startTwoHypervisors({ machines: 3 });
  const { poolKeeper } = stand.board.app;
  const days = [0, 1, 2, 3, 4, 5, 6];
  await change(stand, {
    spares: 1,
    schedule: [
      { days, at: "07:45", action: "start", count: 4 },
      { days, at: "22:00", action: "shut-down-idle" },
    ],
  });
  stand.clock.now = nextAt(stand.clock, 7, 45);
  stand.admin = await stand.board.as("morning", "admin");
  await poolKeeper.look();
  await untilUp(stand, 4);
  const [morning] = await jobsOf(stand, "start-desktops");
  await stand.board.app.jobs.ended(morning!.id);
  assert.equal((await stand.admin.call("getJob", { id: morning!.id })).job.state, "succeeded");

  const user1 = await stand.board.as("user1");
  const { desktop } = await user1.call("getDesktop", { body: { desktopPoolId: stand.poolId } });
  stand.clock.now = nextAt(stand.clock, 22, 0);
  // The user is still there, although nobody has looked for hours.
  const actor = { id: stand.users[0]!.userId, username: "user1", role: "user", address: null } as const;
  await stand.board.app.leases.heartbeat(actor, desktop.id);
  stand.admin = await stand.board.as("night", "admin");
  await poolKeeper.look();
  await untilUp(stand, 1);
  assert.deepEqual(up(stand), [desktop.machine!.id]);
  const [night] = await jobsOf(stand, "shut-down-desktops");
  assert.equal((await stand.board.app.jobs.ended(night!.id)).items.filter(({ ok }) => ok).length, 3);
  await poolKeeper.look();
  assert.equal(up(stand).length, 1, "the pool sleeps, spares too");

  stand.clock.now += 60_000;
  const user2 = await stand.board.as("user2");
  await user2.call("getDesktop", { body: { desktopPoolId: stand.poolId } });
  await untilUp(stand, 3);
});
