import assert from "node:assert/strict";
import type { Desktop } from "../../contracts/desktop.ts";
import { eventually } from "../support/eventually.ts";
import type { LabUser } from "../support/lab.ts";
import { startTwoHypervisors, type TwoHypervisors } from "../support/two_hypervisors.ts";

const soon = { everyMs: 5 };
const open = async ({ poolId }: TwoHypervisors, user: LabUser): Promise<Desktop> =>
  (await user.call("getDesktop", { body: { desktopPoolId: poolId } })).desktop;
const look = async (user: LabUser, { id }: { id: string }) =>
  (await user.call("getMyDesktop", { id })).desktop;
const untilReady = async (user: LabUser, desktop: Desktop): Promise<Desktop> =>
  await eventually("the desktop is ready", async () => {
    const now = await look(user, desktop);
    return now.state === "ready" && now.machine?.state === "running" && now;
  }, soon);
const machineOf = async ({ admin }: TwoHypervisors, desktop: Desktop) =>
  (await admin.call("getMachine", { id: desktop.machine!.id })).machine;
const hypervisorOf = async ({ admin }: TwoHypervisors, id: string) =>
  (await admin.call("getHypervisor", { id })).hypervisor;
const untilState = (stand: TwoHypervisors, id: string, state: "online" | "offline") =>
  eventually(`the hypervisor is ${state}`, async () => (await hypervisorOf(stand, id)).state === state, soon);

/** Which of the two hypervisors a desktop is on. */
async function placeOf(stand: TwoHypervisors, desktop: Desktop) {
  const isOne = (await machineOf(stand, desktop)).hypervisorId === stand.ids.one;
  const [id, otherId] = isOne ? [stand.ids.one, stand.ids.two] : [stand.ids.two, stand.ids.one];
  return { id, otherId, agent: isOne ? stand.one : stand.two };
}

async function lose(
  stand: TwoHypervisors,
  { id, agent }: Awaited<ReturnType<typeof placeOf>>,
): Promise<void> {
  agent.goOffline();
  await untilState(stand, id, "offline");
}

Deno.test("users are spread over hypervisors, and the lease says why", async () => {
  await using stand = await startTwoHypervisors();
  const places = [];
  for (const user of stand.users) places.push((await placeOf(stand, await open(stand, user))).id);
  assert.equal(places.filter((id) => id === stand.ids.one).length, 2);
  const { items } = await stand.admin.call("listLeases");
  for (const lease of items) {
    assert.match(lease.reasons[0]!.verdict, /^chosen: off, will be started/);
    assert.equal(lease.reasons[0]!.machineName, lease.machine?.name);
    assert.equal(lease.reasons.length, 4);
  }
});

Deno.test("a full hypervisor gets no more desktops, and the refusal says so", async () => {
  await using stand = await startTwoHypervisors();
  const [first, second, third] = stand.users as [LabUser, LabUser, LabUser];
  await stand.admin.call("updateHypervisor", { id: stand.ids.one, body: { capacity: { maxRunning: 0 } } });
  await stand.admin.call("updateHypervisor", { id: stand.ids.two, body: { capacity: { maxRunning: 2 } } });
  for (const user of [first, second]) {
    assert.equal((await placeOf(stand, await open(stand, user))).id, stand.ids.two);
  }
  await assert.rejects(open(stand, third), {
    code: "no_capacity",
    message: /2 in use|2 being prepared/,
  });
  await assert.rejects(open(stand, third), { message: /2 on a hypervisor that is full \(one\)/ });
  const { counts } = (await stand.admin.call("getDesktopPool", { id: stand.poolId })).desktopPool;
  assert.equal(counts.full, 2);
  const explained = await stand.admin.call("explainAllocation", {
    id: stand.poolId,
    query: { userId: third.userId },
  });
  assert.equal(explained.reasons.length, 4);
  assert.ok(explained.reasons.some(({ verdict }) => /full: 0 machines run there/.test(verdict)));
  await assert.rejects(
    stand.admin.call("powerMachine", { id: stand.machines.one[0]!.id, body: { action: "start" } }),
    { code: "no_capacity", message: /one has no room for it/ },
  );
});

Deno.test("a blip moves nobody; who has lost the hypervisor gets another desktop, and his own again when it is back", async () => {
  await using stand = await startTwoHypervisors();
  const [user, other] = stand.users as [LabUser, LabUser];
  const lost = await untilReady(user, await open(stand, user));
  const place = await placeOf(stand, lost);
  await lose(stand, place);
  stand.clock.now += 19_000;
  const still = await open(stand, user);
  assert.equal(still.id, lost.id);
  assert.match(still.error?.message ?? "", /is offline/);
  stand.clock.now += 2_000;
  const elsewhere = await untilReady(user, await open(stand, user));
  assert.notEqual(elsewhere.id, lost.id);
  assert.equal((await placeOf(stand, elsewhere)).id, place.otherId);
  assert.equal((await look(user, lost)).state, "ended");
  const { items } = await stand.admin.call("listLeases", { query: { active: "false" } });
  assert.match(
    items.find(({ id }) => id === lost.id)?.endReason ?? "",
    /is offline; the user got another machine/,
  );
  const kept = await machineOf(stand, lost);
  assert.equal(kept.keptFor?.userId, user.userId);
  assert.equal(kept.keptFor.until, stand.clock.now + 8 * 3_600_000);

  place.agent.comeBack();
  await untilState(stand, place.id, "online");
  const others = await Promise.all([other, stand.users[2]!].map((one) => open(stand, one)));
  assert.ok(others.every((one) => one.machine?.id !== lost.machine?.id), "nobody else gets it");
  assert.equal((await open(stand, user)).id, elsewhere.id, "who holds a desktop keeps it");
  await user.call("endMyDesktop", { id: elsewhere.id });
  const { items: [offer] } = await user.call("listMyDesktopPools");
  assert.equal(offer?.availability, "ready");
  const again = await open(stand, user);
  assert.equal(again.machine?.id, lost.machine?.id);
  assert.equal(again.state, "ready");
  assert.equal((await machineOf(stand, lost)).keptFor, null);
});

Deno.test("nobody's desktop is taken away while there is no other", async () => {
  await using stand = await startTwoHypervisors({ machines: 1 });
  const [first, second] = stand.users as [LabUser, LabUser];
  const lost = await untilReady(first, await open(stand, first));
  await open(stand, second);
  await lose(stand, await placeOf(stand, lost));
  stand.clock.now += 30_000;
  await assert.rejects(open(stand, first), {
    code: "no_capacity",
    message: /is out of reach, because the hypervisor (one|two) is offline\. No free desktop in Lab/,
  });
  assert.equal((await look(first, lost)).state, "ready");
});

Deno.test("a lost desktop whose user stays away is kept, not returned; later it is returned by policy", async () => {
  await using stand = await startTwoHypervisors({ policy: { afterUse: "shutdown", returnAfterMinutes: 1 } });
  const [user] = stand.users as [LabUser];
  const lost = await untilReady(user, await open(stand, user));
  const place = await placeOf(stand, lost);
  const { leases } = stand.board.app;
  await lose(stand, place);
  stand.clock.now += 10 * 60_000;
  await leases.sweep();
  assert.equal((await look(user, lost)).state, "ended");
  assert.equal((await machineOf(stand, lost)).keptFor?.userId, user.userId);
  place.agent.comeBack();
  await untilState(stand, place.id, "online");
  await leases.sweep();
  assert.equal((await machineOf(stand, lost)).state, "running");
  stand.clock.now += 9 * 3_600_000;
  await leases.sweep();
  await eventually("it is shut down", async () => {
    const { keptFor, state } = await machineOf(stand, lost);
    return keptFor === null && state === "shut-off";
  }, soon);
});

Deno.test("an admin can let go of a machine that is kept", async () => {
  await using stand = await startTwoHypervisors({ policy: { afterUse: "shutdown" } });
  const [user] = stand.users as [LabUser];
  const lost = await untilReady(user, await open(stand, user));
  const place = await placeOf(stand, lost);
  await assert.rejects(stand.admin.call("releaseMachine", { id: lost.machine!.id }), { code: "conflict" });
  await lose(stand, place);
  stand.clock.now += 30_000;
  await open(stand, user);
  await stand.admin.call("releaseMachine", { id: lost.machine!.id });
  assert.equal((await machineOf(stand, lost)).keptFor, null);
  place.agent.comeBack();
  await eventually("it is shut down", async () => (await machineOf(stand, lost)).state === "shut-off", soon);
});

Deno.test("draining waits for users, then shuts their machines down; nobody new gets one there", async () => {
  await using stand = await startTwoHypervisors();
  const [user, other] = stand.users as [LabUser, LabUser];
  const desktop = await untilReady(user, await open(stand, user));
  const { id, otherId, agent } = await placeOf(stand, desktop);
  const idle = stand.machines[id === stand.ids.one ? "one" : "two"].find((one) =>
    one.id !== desktop.machine!.id
  )!;
  await stand.admin.call("powerMachine", { id: idle.id, body: { action: "start" } });
  await stand.admin.call("updateHypervisor", { id, body: { drain: { mode: "wait" } } });
  await eventually("the idle one is off", () => agent.domains.get(idle.id)?.state === "shut-off", soon);
  const { drain, maintenance } = await hypervisorOf(stand, id);
  assert.equal(maintenance, true);
  assert.deepEqual([drain?.mode, drain?.endsAt, drain?.sessionsLeft], ["wait", null, 1]);
  assert.equal((await placeOf(stand, await open(stand, other))).id, otherId);
  assert.equal((await look(user, desktop)).state, "ready");
  assert.equal(agent.domains.get(desktop.machine!.id)?.state, "running");
  await stand.restart();
  await stand.users[0]!.call("endMyDesktop", { id: desktop.id });
  await eventually(
    "his machine is off",
    () => agent.domains.get(desktop.machine!.id)?.state === "shut-off",
    soon,
  );
  assert.equal((await hypervisorOf(stand, id)).drain?.sessionsLeft, 0);
  await stand.admin.call("updateHypervisor", { id, body: { maintenance: false } });
  assert.equal((await hypervisorOf(stand, id)).drain, null);
});

Deno.test("draining with a countdown warns users, then ends their sessions", async () => {
  await using stand = await startTwoHypervisors();
  const [user] = stand.users as [LabUser];
  const desktop = await untilReady(user, await open(stand, user));
  const { id, agent } = await placeOf(stand, desktop);
  await stand.admin.call("updateHypervisor", { id, body: { drain: { mode: "end", countdownSeconds: 60 } } });
  assert.equal((await look(user, desktop)).notice?.endsAt, stand.clock.now + 60_000);
  await stand.admin.call("updateHypervisor", { id, body: { drain: null } });
  assert.equal((await look(user, desktop)).notice, null);
  await stand.admin.call("updateHypervisor", { id, body: { drain: { mode: "end", countdownSeconds: 60 } } });
  stand.clock.now += 61_000;
  await eventually("the session has ended", async () => (await look(user, desktop)).state === "ended", soon);
  await eventually(
    "its machine is off",
    () => agent.domains.get(desktop.machine!.id)?.state === "shut-off",
    soon,
  );
});

Deno.test("starts are paced: who waits for a desktop is told his place, and a mass start lets him go first", async () => {
  const bootTimes = { withAgentMs: 60_000, withoutAgentMs: 60_000, secondMs: 1_000 };
  await using stand = await startTwoHypervisors({ machines: 4, agent: { bootMs: null }, bootTimes });
  const { one } = stand.machines;
  await stand.admin.call("updateHypervisor", { id: stand.ids.one, body: { capacity: { maxStarting: 1 } } });
  await stand.admin.call("updateHypervisor", { id: stand.ids.two, body: { maintenance: true } });
  const { job } = await stand.admin.call("bulkMachines", {
    body: { ids: one.slice(0, 3).map(({ id }) => id), action: "start" },
  });
  const queued = async () =>
    (await Promise.all(one.map(async ({ id }) => (await stand.admin.call("getMachine", { id })).machine)))
      .map(({ queuedStart }) => queuedStart);
  await eventually(
    "two wait",
    async () => (await queued()).filter((place) => place !== null).length === 2,
    soon,
  );
  // The first that is free and off: one that waits for the mass start or the fourth.
  const [user] = stand.users as [LabUser];
  await stand.admin.call("putPoolMachines", { id: stand.poolId, body: { machineIds: [one[3]!.id] } });
  const desktop = await open(stand, user);
  await eventually("he is the next", async () => (await look(user, desktop)).queued === 0, soon);
  assert.deepEqual((await queued())[3], 1);
  assert.equal((await look(user, desktop)).stage, "allocated");
  const up = () => one.filter(({ id }) => stand.one.domains.get(id)?.state === "running").map(({ id }) => id);
  const [first] = up();
  assert.equal(up().length, 1);
  stand.one.change(first!, { guestAgent: true });
  await eventually("his machine starts", () => up().includes(one[3]!.id), soon);
  assert.equal(up().length, 2);
  // One that dies while it boots does not keep its slot.
  stand.one.change(one[3]!.id, { state: "shut-off" });
  await eventually("the next one starts", () => up().length === 2, soon);
  for (let n = 0; n < 3; n++) {
    for (const id of up()) {
      if (!stand.one.domains.get(id)?.guestAgent) stand.one.change(id, { guestAgent: true });
    }
    await eventually("another one", () => up().length >= Math.min(3, 2 + n), soon);
  }
  assert.equal((await stand.board.app.jobs.ended(job.id)).state, "succeeded");
});

Deno.test("a user's data disk comes along: his hypervisor is preferred, and nobody else finds it on the machine", async () => {
  const policy = { dataDisk: { scope: "user" as const, bytes: 2 ** 30 } };
  await using stand = await startTwoHypervisors({ policy });
  const [user, other] = stand.users as [LabUser, LabUser];
  const first = await untilReady(user, await open(stand, user));
  const { items: [disk] } = await stand.admin.call("listDataDisks", { query: {} });
  assert.equal(disk?.attachedTo?.id, first.machine!.id);
  const { id } = await placeOf(stand, first);
  await user.call("endMyDesktop", { id: first.id });
  const free = async () =>
    (await stand.admin.call("listDataDisks", { query: {} })).items[0]?.attachedTo === null;
  await eventually("it is detached", free, soon);
  const setMembers = (machineIds: string[]) =>
    stand.admin.call("putPoolMachines", { id: stand.poolId, body: { machineIds } });
  await setMembers([first.machine!.id]);
  const second = await untilReady(other, await open(stand, other));
  assert.equal(second.machine!.id, first.machine!.id);
  const { items } = await stand.admin.call("listDataDisks", { query: {} });
  assert.deepEqual(items.filter(({ attachedTo }) => attachedTo).map(({ userId }) => userId), [other.userId]);
  await setMembers([...stand.machines.one, ...stand.machines.two].map((machine) => machine.id));
  const again = await untilReady(user, await open(stand, user));
  assert.equal((await placeOf(stand, again)).id, id);
});

Deno.test("with the hypervisor of his data disk offline a user gets a desktop without it, and is told", async () => {
  const policy = { dataDisk: { scope: "user" as const, bytes: 2 ** 30 } };
  await using stand = await startTwoHypervisors({ policy });
  const [user] = stand.users as [LabUser];
  const first = await untilReady(user, await open(stand, user));
  await lose(stand, await placeOf(stand, first));
  stand.clock.now += 30_000;
  const elsewhere = await untilReady(user, await open(stand, user));
  assert.notEqual(elsewhere.machine!.id, first.machine!.id);
  assert.match(elsewhere.error?.message ?? "", /Your data disk is not there/);
});

Deno.test("what was lost with a virtual snapshot is kept only as long as its machine runs", async () => {
  await using stand = await startTwoHypervisors();
  for (const { id } of [...stand.machines.one, ...stand.machines.two]) {
    await stand.admin.call("updateMachine", { id, body: { virtualSnapshot: true } });
  }
  const [user] = stand.users as [LabUser];
  const lost = await untilReady(user, await open(stand, user));
  const place = await placeOf(stand, lost);
  await lose(stand, place);
  stand.clock.now += 30_000;
  await open(stand, user);
  place.agent.comeBack();
  await untilState(stand, place.id, "online");
  await stand.board.app.leases.sweep();
  assert.equal((await machineOf(stand, lost)).keptFor?.userId, user.userId);
  place.agent.change(lost.machine!.id, { state: "shut-off", virtualSnapshot: false, guestAgent: false });
  await eventually("it is let go", async () => {
    await stand.board.app.leases.sweep();
    return (await machineOf(stand, lost)).keptFor === null;
  }, soon);
});

Deno.test("a mass start outlives a connection that is away for a moment; what has no room fails with the reason", async () => {
  const bootTimes = { withAgentMs: 60_000, withoutAgentMs: 60_000, secondMs: 1_000 };
  await using stand = await startTwoHypervisors({ machines: 4, agent: { bootMs: null }, bootTimes });
  const { one } = stand.machines;
  const isUp = ({ id }: { id: string }) => stand.one.domains.get(id)?.state === "running";
  await stand.admin.call("updateHypervisor", {
    id: stand.ids.one,
    body: { capacity: { maxStarting: 1, maxRunning: 3 } },
  });
  const { job } = await stand.admin.call("bulkMachines", {
    body: { ids: one.map(({ id }) => id), action: "start" },
  });
  await eventually(
    "one is up",
    () => one.some(({ id }) => stand.one.domains.get(id)?.state === "running"),
    soon,
  );
  stand.one.goOffline();
  await untilState(stand, stand.ids.one, "offline");
  assert.equal(one.filter(isUp).length, 1);
  stand.one.comeBack();
  for (const count of [2, 3]) {
    await eventually(`${count} are up`, () => one.filter(isUp).length === count, soon);
    for (const { id } of one.filter(isUp)) stand.one.change(id, { guestAgent: true });
  }
  const ended = await stand.board.app.jobs.ended(job.id);
  assert.equal(ended.items.filter(({ ok }) => ok).length, 3);
  assert.match(ended.items.find(({ ok }) => !ok)?.message ?? "", /has no room for it, 3 machines run there/);
});

Deno.test("a spare that waits for its start is started once, and at once, when a user gets it", async () => {
  const bootTimes = { withAgentMs: 60_000, withoutAgentMs: 60_000, secondMs: 1_000 };
  await using stand = await startTwoHypervisors({ machines: 3, agent: { bootMs: null }, bootTimes });
  const { one } = stand.machines;
  const [first, second] = stand.users as [LabUser, LabUser];
  await stand.admin.call("updateHypervisor", { id: stand.ids.one, body: { capacity: { maxStarting: 1 } } });
  await stand.admin.call("updateHypervisor", { id: stand.ids.two, body: { maintenance: true } });
  await stand.admin.call("updateDesktopPool", { id: stand.poolId, body: { policy: { spares: 3 } } });
  const isUp = ({ id }: { id: string }) => stand.one.domains.get(id)?.state === "running";
  await eventually("the first spare is up", () => one.some(isUp), soon);
  const warm = await open(stand, first);
  assert.equal(warm.state, "ready");
  const waiting = await open(stand, second);
  await eventually("he is the next", async () => (await look(second, waiting)).queued === 0, soon);
  stand.one.change(warm.machine!.id, { guestAgent: true });
  await eventually("his is started", () => isUp(waiting.machine!), soon);
  const starts = stand.one.calls.filter(({ method, id }) => method === "power" && id === waiting.machine!.id);
  assert.equal(starts.length, 1);
});
