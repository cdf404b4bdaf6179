import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import type { Desktop } from "../../contracts/desktop.ts";
import { eventually } from "../support/eventually.ts";
import { type Lab, type LabUser, quickBoot, startLab } from "../support/lab.ts";

const open = async (lab: Lab, user: LabUser, terminal?: string): Promise<Desktop> =>
  (await user.call("getDesktop", { body: { desktopPoolId: lab.poolId, terminal } })).desktop;
const look = async (user: LabUser, { id }: { id: string }): Promise<Desktop> =>
  (await user.call("getMyDesktop", { id })).desktop;
const untilState = (user: LabUser, desktop: Desktop, state: Desktop["state"]) =>
  eventually(`desktop is ${state}`, async () => {
    const now = await look(user, desktop);
    return now.state === state && now;
  }, { everyMs: 5 });
const machineState = (lab: Lab, desktop: Desktop) => lab.agent.domains.get(desktop.machine!.id)?.state;
const untilFree = (lab: Lab, count: number) =>
  eventually(`${count} machines are free`, async () => {
    const { desktopPool } = await lab.admin.call("getDesktopPool", { id: lab.poolId });
    return desktopPool.counts.free === count;
  }, { everyMs: 5 });

Deno.test("getting a desktop starts a machine and becomes ready by the agent's events", async () => {
  await using lab = await startLab();
  const [user] = lab.users as [LabUser];
  const desktop = await open(lab, user, "LAB-12");
  assert.equal(desktop.state, "preparing");
  const ready = await untilState(user, desktop, "ready");
  assert.equal(ready.machine?.state, "running");
  assert.equal(ready.terminal, "LAB-12");
  const connection = await user.call("connectMyDesktop", { id: desktop.id });
  assert.equal(connection.machineId, ready.machine?.id);
});

Deno.test("a user on a second device gets the same machine, not a second one (defect 10)", async () => {
  await using lab = await startLab({ machines: 3 });
  const [user] = lab.users as [LabUser];
  const all = await Promise.all(Array.from({ length: 20 }, (_, n) => open(lab, user, `device-${n}`)));
  assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  assert.equal(new Set(all.map(({ machine }) => machine?.id)).size, 1);
});

Deno.test("a user without entitlement gets neither machine nor connection (defect 2)", async () => {
  await using lab = await startLab();
  const [owner] = lab.users as [LabUser];
  const stranger = await lab.board.as("stranger");
  await assert.rejects(open(lab, stranger), { code: "forbidden" });
  const desktop = await untilState(owner, await open(lab, owner), "ready");
  await assert.rejects(look(stranger, desktop), { code: "not_found" });
  await assert.rejects(stranger.call("connectMyDesktop", { id: desktop.id }), { code: "not_found" });
  await assert.rejects(stranger.call("heartbeat", { id: desktop.id }), { code: "not_found" });
  await assert.rejects(stranger.call("endMyDesktop", { id: desktop.id }), { code: "not_found" });
});

Deno.test("losing the entitlement ends the desktop, and the reason is kept", async () => {
  await using lab = await startLab();
  const [user, other] = lab.users as [LabUser, LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  await lab.admin.call("putEntitlements", { id: lab.poolId, body: { userIds: [other.userId] } });
  await untilState(user, desktop, "ended");
  const { items: [lease] } = await lab.admin.call("listLeases", { query: { active: "false" } });
  assert.match(lease?.endReason ?? "", /may not use this desktop pool/);
  await assert.rejects(open(lab, user), { code: "forbidden" });
});

Deno.test("disabling or deleting a user ends the user's desktops", async () => {
  await using lab = await startLab();
  const [disabled, deleted] = lab.users as [LabUser, LabUser];
  await open(lab, disabled);
  await open(lab, deleted);
  await lab.admin.call("updateUser", { id: disabled.userId, body: { disabled: true } });
  await lab.admin.call("deleteUser", { id: deleted.userId });
  await eventually("no lease is active", async () => {
    return (await lab.admin.call("listLeases")).total === 0;
  }, { everyMs: 5 });
});

Deno.test("no free desktop is refused in words that count the reasons (defect 11)", async () => {
  await using lab = await startLab({ machines: 2, users: 2 });
  const [first, second] = lab.users as [LabUser, LabUser];
  await lab.admin.call("updateMachine", { id: lab.machines[0]!.id, body: { maintenance: true } });
  await untilState(first, await open(lab, first), "ready");
  await assert.rejects(open(lab, second), {
    code: "no_capacity",
    message:
      "No free desktop in Lab: 1 in use, 1 in maintenance. Try again in a few minutes or ask your administrator.",
  });
  const { items: [pool] } = await second.call("listMyDesktopPools");
  assert.equal(pool?.availability, "full");
  assert.match(pool?.reason ?? "", /1 in maintenance/);
  const explained = await lab.admin.call("explainAllocation", {
    id: lab.poolId,
    query: { userId: second.userId },
  });
  assert.equal(explained.machineId, null);
  assert.match(explained.explanation, /1 in use/);
});

Deno.test("a user cannot power a machine after the lease has ended (defect 8)", async () => {
  await using lab = await startLab();
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  await user.call("powerMyDesktop", { id: desktop.id, body: { action: "reboot" } });
  await user.call("endMyDesktop", { id: desktop.id });
  await assert.rejects(user.call("powerMyDesktop", { id: desktop.id, body: { action: "destroy" } }), {
    code: "conflict",
  });
  await assert.rejects(user.call("connectMyDesktop", { id: desktop.id }), { code: "conflict" });
  assert.equal(machineState(lab, desktop), "running");
});

Deno.test("a pool can keep its users from switching machines off", async () => {
  await using lab = await startLab({ policy: { userPower: false } });
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  await assert.rejects(user.call("powerMyDesktop", { id: desktop.id, body: { action: "destroy" } }), {
    code: "forbidden",
  });
});

Deno.test("a desktop that its user switched off stays the user's; opening it again starts it", async () => {
  await using lab = await startLab();
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  await user.call("powerMyDesktop", { id: desktop.id, body: { action: "destroy" } });
  await eventually("it is off", async () => (await look(user, desktop)).machine?.state === "shut-off", {
    everyMs: 5,
  });
  assert.equal((await look(user, desktop)).state, "ready");
  await assert.rejects(user.call("connectMyDesktop", { id: desktop.id }), { code: "conflict" });
  assert.equal((await open(lab, user)).id, desktop.id);
  const again = await untilState(user, desktop, "ready");
  assert.equal(again.machine?.state, "running");
});

Deno.test("policy keep: the machine runs on; shutdown: it is switched off; nobody gets it before", async () => {
  for (const afterUse of ["keep", "shutdown"] as const) {
    await using lab = await startLab({ machines: 1, policy: { afterUse } });
    const [first, second] = lab.users as [LabUser, LabUser];
    const desktop = await untilState(first, await open(lab, first), "ready");
    await first.call("endMyDesktop", { id: desktop.id });
    if (afterUse === "shutdown") await untilFree(lab, 1);
    assert.equal(machineState(lab, desktop), afterUse === "keep" ? "running" : "shut-off");
    assert.equal((await open(lab, second)).machine?.id, desktop.machine?.id);
  }
});

Deno.test("policy reset: the overlay is made anew before the next user gets the machine", async () => {
  await using lab = await startLab({ machines: 1, policy: { afterUse: "reset" } });
  const [first, second] = lab.users as [LabUser, LabUser];
  const desktop = await untilState(first, await open(lab, first), "ready");
  lab.agent.hold("populate");
  await first.call("endMyDesktop", { id: desktop.id });
  await assert.rejects(open(lab, second), { code: "no_capacity" });
  lab.agent.release("populate");
  await untilFree(lab, 1);
  assert.equal(machineState(lab, desktop), "shut-off");
  const machine = (await lab.admin.call("getMachine", { id: desktop.machine!.id })).machine;
  assert.ok(machine.populatedAt! >= desktop.startedAt);
  await open(lab, second);
});

Deno.test("a machine with a virtual snapshot comes back clean even where the policy keeps machines", async () => {
  await using lab = await startLab({ machines: 1, virtualSnapshot: true, policy: { afterUse: "keep" } });
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  assert.equal(lab.agent.domains.get(desktop.machine!.id)?.virtualSnapshot, true);
  assert.equal(desktop.volatile, true);
  await user.call("endMyDesktop", { id: desktop.id });
  await untilFree(lab, 1);
  assert.equal(machineState(lab, desktop), "shut-off");
});

Deno.test("a machine that could not be reset is withdrawn, not given to the next user", async () => {
  await using lab = await startLab({ machines: 1, policy: { afterUse: "reset" } });
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  lab.agent.failPopulate(desktop.machine!.id, "no space left");
  await user.call("endMyDesktop", { id: desktop.id });
  await eventually("it is in maintenance", async () => {
    return (await lab.admin.call("getMachine", { id: desktop.machine!.id })).machine.maintenance;
  }, { everyMs: 5 });
  await assert.rejects(open(lab, user), { code: "no_capacity" });
});

Deno.test("a machine that cannot be started is replaced by another one", async () => {
  await using lab = await startLab({ machines: 2 });
  const [user] = lab.users as [LabUser];
  lab.agent.failNext("power", new AppError("hypervisor_failed", "the first one is broken"));
  const desktop = await open(lab, user);
  const ready = await untilState(user, desktop, "ready");
  assert.notEqual(ready.machine?.id, desktop.machine?.id);
  const leases = await lab.admin.call("listLeases");
  assert.equal(leases.total, 1);
});

Deno.test("a start that fails everywhere ends with the agent's words and frees the machine", async () => {
  await using lab = await startLab({ machines: 2 });
  const [user] = lab.users as [LabUser];
  for (let n = 0; n < 2; n++) {
    lab.agent.failNext("power", new AppError("hypervisor_failed", "no memory left"));
  }
  const failed = await untilState(user, await open(lab, user), "failed");
  assert.deepEqual(failed.error, { code: "hypervisor_failed", message: "no memory left" });
  await untilFree(lab, 2);
  await untilState(user, await open(lab, user), "ready");
});

Deno.test("a start that never ends is given up and says so (defect 16)", async () => {
  await using lab = await startLab({ machines: 1, bootTimes: { ...quickBoot, secondMs: 10 } });
  const [user] = lab.users as [LabUser];
  await lab.admin.call("updateSettings", { body: { desktopStartSeconds: 10 } });
  lab.agent.options.latencyMs = 1_000;
  const desktop = await open(lab, user);
  const failed = await untilState(user, desktop, "failed");
  assert.match(failed.error?.message ?? "", /was not ready after 10 s/);
});

Deno.test("a lease ends when its heartbeats are missing for the pool's time, and not before", async () => {
  let now = Date.now();
  await using lab = await startLab({ now: () => now, policy: { returnAfterMinutes: 5 } });
  const [silent, alive] = lab.users as [LabUser, LabUser];
  const forgotten = await untilState(silent, await open(lab, silent), "ready");
  const used = await untilState(alive, await open(lab, alive), "ready");
  now += 4 * 60_000;
  await alive.call("heartbeat", { id: used.id });
  await lab.board.app.leases.sweep();
  assert.equal((await look(silent, forgotten)).state, "ready");
  now += 2 * 60_000;
  await lab.board.app.leases.sweep();
  assert.equal((await look(silent, forgotten)).state, "ended");
  assert.equal((await silent.call("heartbeat", { id: forgotten.id })).state, "ended");
  assert.equal((await look(alive, used)).state, "ready");
});

Deno.test("an open display counts as a sign of life", async () => {
  let now = Date.now();
  await using lab = await startLab({ now: () => now, policy: { returnAfterMinutes: 5 } });
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  const { proxyHost: ticket } = await user.call("connectMyDesktop", { id: desktop.id });
  const { tickets, leases } = lab.board.app;
  let closedFor: string | null = null;
  const viewer = { close: (reason: string) => void (closedFor = reason) };
  assert.ok(tickets.admit(ticket, viewer));
  now += 60 * 60_000;
  await leases.sweep();
  assert.equal((await look(user, desktop)).state, "ready");
  await user.call("endMyDesktop", { id: desktop.id });
  assert.equal(closedFor, "leaseEnded");
});

Deno.test("with returnAfterMinutes 0 a lease still outlives one missed heartbeat", async () => {
  let now = Date.now();
  await using lab = await startLab({ now: () => now, policy: { returnAfterMinutes: 0 } });
  const [user] = lab.users as [LabUser];
  const desktop = await untilState(user, await open(lab, user), "ready");
  now += 60_000;
  await lab.board.app.leases.sweep();
  assert.equal((await look(user, desktop)).state, "ready");
  now += 60_000;
  await lab.board.app.leases.sweep();
  assert.equal((await look(user, desktop)).state, "ended");
});

Deno.test("a restart of the dashboard keeps leases, counts as a sign of life and finishes what was being prepared", async () => {
  let now = Date.now();
  await using lab = await startLab({ now: () => now, machines: 2 });
  const [ready] = lab.users as [LabUser];
  const kept = await untilState(ready, await open(lab, ready), "ready");
  lab.agent.options.latencyMs = 50;
  const preparing = await open(lab, lab.users[1]!);
  assert.equal(preparing.state, "preparing");
  now += 60 * 60_000;
  lab.agent.options.latencyMs = 0;
  await lab.restart();
  await lab.board.app.leases.sweep();
  assert.equal((await look(lab.users[0]!, kept)).state, "ready");
  await untilState(lab.users[1]!, preparing, "ready");
});

Deno.test("an admin can end a lease; deleting the pool ends them all", async () => {
  await using lab = await startLab();
  const [first, second] = lab.users as [LabUser, LabUser];
  const one = await open(lab, first);
  const two = await open(lab, second);
  await lab.admin.call("endLease", { id: one.id });
  assert.equal((await look(first, one)).state, "ended");
  await lab.admin.call("deleteDesktopPool", { id: lab.poolId });
  assert.equal((await look(second, two)).state, "ended");
});

Deno.test("the counts of a pool follow what happens to its machines", async () => {
  await using lab = await startLab({ machines: 4 });
  const counts = async () => (await lab.admin.call("getDesktopPool", { id: lab.poolId })).desktopPool.counts;
  const none = { inUse: 0, spares: 0, starting: 0, maintenance: 0, full: 0, broken: 0 };
  assert.deepEqual(await counts(), { ...none, total: 4, free: 4 });
  await untilState(lab.users[0]!, await open(lab, lab.users[0]!), "ready");
  const { items } = await lab.admin.call("listLeases");
  const free = lab.machines.filter(({ id }) => id !== items[0]?.machine?.id);
  await lab.admin.call("updateMachine", { id: free[0]!.id, body: { locked: true } });
  lab.agent.change(free[1]!.id, { state: "crashed" });
  await eventually("all are counted", async () => {
    const { free, inUse, maintenance, broken } = await counts();
    return free === 1 && inUse === 1 && maintenance === 1 && broken === 1;
  }, { everyMs: 5 });
  lab.agent.goOffline();
  await eventually("an offline hypervisor breaks its machines", async () => (await counts()).free === 0, {
    everyMs: 5,
  });
});

Deno.test("sources and initials cannot be members of a pool", async () => {
  await using lab = await startLab();
  const { items } = await lab.admin.call("listMachines", { query: { role: "initial" } });
  await assert.rejects(
    lab.admin.call("putPoolMachines", { id: lab.poolId, body: { machineIds: [items[0]!.id] } }),
    { code: "invalid", message: /initial machine/ },
  );
});
