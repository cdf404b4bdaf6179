/** What the dashboard makes of agents that come, go, lie and fall silent. */
import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import { defaultCapacity } from "../../contracts/hypervisor.ts";
import { FakeAgent } from "../support/fake_agent.ts";
import { startTestDashboard } from "../support/dashboard.ts";
import { deadline, gib, MachinesStand, refused, sourceBody } from "../support/machines_stand.ts";

/** Rows of machines without what changes with the connection. */
async function rowsOf(stand: MachinesStand) {
  const rows = await stand.dashboard.app.db.selectFrom("machines").selectAll().orderBy("name").execute();
  return rows.map(({ state: _state, state_reason: _reason, updated_at: _updated, ...row }) => row);
}

async function hypervisor(stand: MachinesStand) {
  return (await stand.api.call("getHypervisor", { id: stand.hypervisorId })).hypervisor;
}

Deno.test("a hypervisor that is lost makes its machines unknown and comes back by itself, without maintenance (defect 13)", async () => {
  await using stand = await MachinesStand.start();
  const { vdis: [vdi] } = await stand.tree(1);
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  stand.agent.goOffline();
  const lost = await stand.until(vdi!.id, "was lost", ({ state }) => state === "unknown");
  assert.match(lost.stateReason ?? "", /hypervisor is offline/);
  assert.equal(lost.vcpus, 2, "the last known facts stay");
  assert.partialDeepStrictEqual(await hypervisor(stand), { state: "offline", maintenance: false });
  await assert.rejects(
    stand.api.call("powerMachine", { id: vdi!.id, body: { action: "destroy" } }),
    refused("unavailable", /Hypervisor host cannot be used now: /),
  );
  stand.agent.comeBack();
  await stand.until(vdi!.id, "came back", ({ state }) => state === "running");
  assert.partialDeepStrictEqual(await hypervisor(stand), {
    state: "online",
    stateReason: null,
    maintenance: false,
  });
});

Deno.test("failed, empty and partial answers delete and wipe nothing (defect 12)", async () => {
  await using stand = await MachinesStand.start();
  const { vdis } = await stand.tree(3);
  const { desktopPool } = await stand.api.call("createDesktopPool", { body: { name: "Lab" } });
  const machineIds = vdis.map(({ id }) => id);
  await stand.api.call("putPoolMachines", { id: desktopPool.id, body: { machineIds } });
  const before = await rowsOf(stand);
  const [kept] = [...stand.agent.domains.values()];

  stand.agent.emit({ type: "domains", domains: [kept!] });
  await stand.until(machineIds[0]!, "was missed", ({ state }) => state === "unknown");
  assert.match(
    (await stand.machine(machineIds[0]!)).stateReason ?? "",
    /domain is missing on the hypervisor/,
  );
  stand.agent.emit({ type: "domains", domains: [] });
  stand.agent.setLibvirt(false);
  stand.agent.goOffline();
  stand.agent.comeBack();
  await stand.online();
  stand.agent.setLibvirt(true);
  await stand.until(machineIds[0]!, "was found again", ({ state }) => state === "shut-off");

  assert.deepEqual(await rowsOf(stand), before);
  const pool = await stand.api.call("getDesktopPool", { id: desktopPool.id });
  assert.deepEqual(pool.desktopPool.machineIds.toSorted(), machineIds.toSorted());
});

Deno.test("an agent that loses libvirt is degraded, and its machines keep their states", async () => {
  await using stand = await MachinesStand.start();
  const { vdis: [vdi] } = await stand.tree(1);
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  stand.agent.setLibvirt(false);
  // The agent itself is restarted meanwhile: its snapshot has no domains then.
  stand.agent.goOffline();
  await stand.until(vdi!.id, "was lost", ({ state }) => state === "unknown");
  stand.agent.comeBack();
  await stand.online();
  assert.partialDeepStrictEqual(await hypervisor(stand), {
    state: "degraded",
    stateReason: "libvirtd does not answer. Start it again.",
  });
  assert.equal((await stand.machine(vdi!.id)).state, "running", "nothing says otherwise");
  stand.agent.setLibvirt(true);
  await stand.until(vdi!.id, "is running", ({ state }) => state === "running");
  assert.equal((await hypervisor(stand)).state, "online");
});

Deno.test("an agent that falls silent is taken for dead, and found again", async () => {
  const agent = new FakeAgent({ heartbeatMs: 20 });
  await using dashboard = await startTestDashboard({
    agents: { host: agent },
    agentTimes: { heartbeatTimeoutMs: 200, retryDelaysMs: [10] },
  });
  await using _agent = agent;
  const id = dashboard.hypervisorIds["host"]!;
  const { agents } = dashboard.app;
  await agents.untilUsable(id, deadline());
  const lost = Promise.withResolvers<void>();
  const unlisten = agents.listen(() => agents.status(id).state === "offline" && lost.resolve());
  agent.freeze();
  await lost.promise;
  assert.match(agents.status(id).reason ?? "", /silent for 0.2 s/);
  agent.thaw();
  await agents.untilUsable(id, deadline());
  unlisten();
});

Deno.test("an agent of another contract is degraded and outdated, and is not used", async () => {
  const agent = new FakeAgent();
  await using dashboard = await startTestDashboard({
    agents: { host: agent },
    agentTimes: { retryDelaysMs: [10] },
  });
  await using _agent = agent;
  const id = dashboard.hypervisorIds["host"]!;
  const { agents } = dashboard.app;
  await agents.untilUsable(id, deadline());
  agent.helloValues = { contract: 0, version: "0.0.1" };
  const changed = Promise.withResolvers<void>();
  const unlisten = agents.listen(() => agents.status(id).state === "degraded" && changed.resolve());
  agent.goOffline();
  agent.comeBack();
  await changed.promise;
  unlisten();
  const { hypervisor } = await dashboard.admin.call("getHypervisor", { id });
  assert.partialDeepStrictEqual(hypervisor, {
    state: "degraded",
    agentOutdated: true,
    agentVersion: "0.0.1",
  });
  assert.match(hypervisor.stateReason ?? "", /older than this dashboard/);
  assert.throws(() => agents.of(id), { code: "unavailable" });
  const body = { name: "again", socketPath: "/fake/host.sock" };
  await assert.rejects(
    dashboard.admin.call("createHypervisor", { body }),
    refused("invalid", /contract 0/, "socketPath"),
  );
});

Deno.test("concurrent creations and refreshes lose and double no rows (defect 14)", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  const batches = Array.from(
    { length: 5 },
    (_, index) => stand.create({ name: `room${index}-{n}`, role: "vdi", sourceId: initial.id, count: 10 }),
  );
  const refreshes = Array.from({ length: 50 }, () => {
    stand.agent.emit({ type: "domains", domains: [...stand.agent.domains.values()] });
    return stand.api.call("listMachines", { query: { limit: 500 } });
  });
  await Promise.all([...batches, ...refreshes]);
  const { items, total } = await stand.api.call("listMachines", { query: { limit: 500, q: "room" } });
  assert.equal(total, 50);
  assert.equal(new Set(items.map(({ name }) => name)).size, 50);
  assert.equal(stand.agent.domains.size, 53);
  for (const { id, state } of items) {
    assert.deepEqual([stand.agent.domains.has(id), state], [true, "shut-off"]);
  }
});

Deno.test("two creations with the same names at once: one is made, the other refused", async () => {
  await using stand = await MachinesStand.start();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 5 }, () => stand.api.call("createMachines", { body: sourceBody() })),
  );
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assert.equal(outcome.reason.code, "conflict");
    else await stand.ended(outcome.value.job);
  }
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, 1);
});

Deno.test("a dashboard that is restarted during a copy picks it up by its id and finishes it", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  stand.agent.hold("copy-disk");
  const { job } = await stand.api.call("copyDisk", { id: initial.id });
  await stand.restart();
  const resumed = await stand.api.call("getJob", { id: job.id });
  assert.equal(resumed.job.state, "running");
  assert.equal((await stand.machine(initial.id)).jobId, job.id);
  stand.agent.release("copy-disk");
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.equal((await stand.machine(initial.id)).imageVersion?.number, 2);
  assert.equal(
    (await stand.agent.jobs()).filter(({ kind }) => kind === "copy-disk").length,
    2,
    "not begun anew",
  );
});

Deno.test("a job that ended while the dashboard was down is finished at the next connection", async () => {
  await using stand = await MachinesStand.start();
  const { initial, vdis: [vdi] } = await stand.tree(1);
  const before = await stand.machine(vdi!.id);
  stand.agent.hold("populate");
  const { job } = await stand.api.call("populate", { id: initial.id, body: {} });
  await stand.dashboard.dashboard.close();
  stand.agent.release("populate");
  while ((await stand.agent.jobs()).at(-1)?.state !== "succeeded") {
    await new Promise((next) => setTimeout(next, 1));
  }
  await stand.restart();
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.ok((await stand.machine(vdi!.id)).populatedAt! > before.populatedAt!);
});

Deno.test("a creation of many machines goes on after a restart of the dashboard", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  stand.agent.hold("create-machine");
  const { job } = await stand.api.call("createMachines", {
    body: { name: "pc-{n}", role: "vdi", sourceId: initial.id, count: 20, populate: true },
  });
  await stand.restart();
  stand.agent.release("create-machine");
  const ended = await stand.ended(job);
  assert.equal(ended.state, "succeeded", ended.error?.message ?? "");
  const { items } = await stand.api.call("listMachines", { query: { q: "pc-", limit: 100 } });
  assert.equal(items.length, 20);
  for (const machine of items) assert.ok(machine.populatedAt, machine.name);
  assert.equal(stand.agent.domains.size, 23);
});

Deno.test("a cancelled creation of many leaves rows of what exists only", async () => {
  await using stand = await MachinesStand.start();
  stand.agent.hold("create-machine");
  const { job } = await stand.api.call("createMachines", { body: { ...sourceBody("s-{n}"), count: 30 } });
  await stand.api.call("cancelJob", { id: job.id });
  assert.equal((await stand.ended(job)).state, "cancelled");
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, stand.agent.domains.size);
  assert.equal(stand.agent.domains.size, 0);
});

Deno.test("jobs that an agent has lost are interrupted, with what to do", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  stand.agent.hold("copy-disk");
  const { job } = await stand.api.call("copyDisk", { id: initial.id });
  stand.agent.restart();
  const ended = await stand.ended(job);
  assert.equal(ended.state, "interrupted");
  assert.match(ended.error?.message ?? "", /stopped/);
  stand.agent.release("copy-disk");
  const again = await stand.api.call("copyDisk", { id: initial.id });
  assert.equal((await stand.ended(again.job)).state, "succeeded", "the subject is free again");
});

Deno.test("a bulk action that was cut off by a restart is interrupted and keeps its items", async () => {
  await using stand = await MachinesStand.start();
  const { vdis } = await stand.tree(2);
  stand.agent.hold("delete-machine");
  const { job } = await stand.api.call("bulkMachines", {
    body: { ids: vdis.map(({ id }) => id), action: "delete" },
  });
  await stand.restart();
  const ended = await stand.ended(job);
  assert.equal(ended.state, "interrupted");
  assert.match(ended.error?.message ?? "", /restarted/);
  stand.agent.release("delete-machine");
  await stand.when(
    "the rows go",
    async () => (await stand.api.call("listMachines", { query: {} })).total === 2,
  );
  assert.equal(stand.agent.domains.size, 2, "what the agent had begun is finished");
});

Deno.test("an agent's refusal of a job is the request's refusal", async () => {
  await using stand = await MachinesStand.start();
  stand.agent.failNext("startJob", new AppError("conflict", "The image is read by a backup."));
  await assert.rejects(
    stand.api.call("createMachines", { body: sourceBody() }),
    refused("conflict", /read by a backup/),
  );
  const { items: [job] } = await stand.api.call("listJobs", { query: { limit: 1 } });
  assert.deepEqual([job?.state, job?.error?.message], ["failed", "The image is read by a backup."]);
});

Deno.test("hypervisors are added after their agent answers, changed, and removed when they have no machines", async () => {
  await using stand = await MachinesStand.start();
  const { api, hypervisorId: id } = stand;
  await assert.rejects(
    api.call("createHypervisor", { body: { name: "ghost", socketPath: "/run/ghost.sock" } }),
    refused("invalid", /no agent answers on \/run\/ghost.sock/, "socketPath"),
  );
  await assert.rejects(
    api.call("createHypervisor", { body: { name: "HOST", socketPath: "/fake/host.sock" } }),
    refused("conflict", /socket/, "socketPath"),
  );
  const { hypervisor: changed } = await api.call("updateHypervisor", {
    id,
    body: { name: "Rack 1", maintenance: true, defaultNetwork: "bridge:br0" },
  });
  assert.partialDeepStrictEqual(changed, { name: "Rack 1", maintenance: true, defaultNetwork: "bridge:br0" });
  await assert.rejects(
    api.call("updateHypervisor", { id, body: { defaultNetwork: "nowhere" } }),
    refused("invalid", /no network nowhere/, "defaultNetwork"),
  );
  const [machine] = await stand.create(sourceBody());
  assert.equal(machine?.network, "bridge:br0");
  assert.equal((await hypervisor(stand)).machineCount, 1);
  await assert.rejects(api.call("deleteHypervisor", { id }), refused("conflict", /1 machines belong to it/));
  stand.agent.goOffline();
  await stand.until(machine!.id, "was lost", ({ state }) => state === "unknown");
  await assert.rejects(api.call("deleteMachine", { id: machine!.id }), refused("unavailable", /Rack 1/));
  const { job } = await api.call("deleteMachine", { id: machine!.id, query: { keepDisks: "true" } });
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.ok(stand.agent.domains.has(machine!.id), "forgotten, not destroyed");
  await api.call("deleteHypervisor", { id });
  assert.equal((await api.call("listHypervisors", { query: {} })).total, 0);
});

Deno.test("facts, load and image files of a hypervisor", async () => {
  const iso = {
    path: "/iso/a.iso",
    name: "a.iso",
    kind: "iso",
    format: "raw",
    bytes: gib,
    virtualBytes: gib,
  } as const;
  await using stand = await MachinesStand.start({ imageFiles: [iso] });
  const { items } = await stand.api.call("listImageFiles", { id: stand.hypervisorId });
  assert.deepEqual(items, [iso]);
  const { vdis: [vdi] } = await stand.tree(1);
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  stand.agent.sendLoad(55);
  await stand.until(vdi!.id, "had load", ({ cpuPercent }) => cpuPercent === 55);
  const { load, facts, runningCount } = await hypervisor(stand);
  assert.deepEqual([load?.cpuPercent, facts?.cpus, runningCount], [55, 8, 1]);
});

Deno.test("capacity, display address and the agent's settings of a hypervisor are changed and kept", async () => {
  await using stand = await MachinesStand.start();
  const { api, hypervisorId: id } = stand;
  const { hypervisor: changed } = await api.call("updateHypervisor", {
    id,
    body: {
      capacity: { memoryOvercommit: 1.5, maxRunning: 20 },
      displayAddress: "hv1.example.org",
      settings: { imageDir: "/srv/images" },
    },
  });
  assert.deepEqual(changed.capacity, { ...defaultCapacity, memoryOvercommit: 1.5, maxRunning: 20 });
  assert.equal(changed.displayAddress, "hv1.example.org");
  assert.equal(stand.agent.facts.settings.imageDir, "/srv/images");
  stand.agent.failNext("changeSettings", new AppError("invalid", "There is no directory /nowhere."));
  await assert.rejects(
    api.call("updateHypervisor", { id, body: { name: "x", settings: { imageDir: "/nowhere" } } }),
    refused("invalid", /no directory/),
  );
  assert.equal((await hypervisor(stand)).name, "host", "nothing else was changed either");
  await assert.rejects(
    api.call("updateHypervisor", { id, body: { ssh: { port: 23 } } }),
    refused("invalid", /dashboard's own host/, "ssh"),
  );
  await stand.restart();
  assert.partialDeepStrictEqual(await hypervisor(stand), {
    capacity: changed.capacity,
    displayAddress: "hv1.example.org",
  });
});

Deno.test("native viewers are led to the hypervisor only where it has a display address and its displays listen", async () => {
  await using stand = await MachinesStand.start();
  const [machine] = await stand.create(sourceBody());
  await stand.api.call("powerMachine", { id: machine!.id, body: { action: "start" } });
  const direct = async () =>
    (await stand.api.call("openConsole", { id: machine!.id, query: {} })).direct ?? null;
  const ticket = stand.agent.ticket.bind(stand.agent);
  stand.agent.ticket = async (...args) => ({ ...await ticket(...args), port: 5907, direct: true });
  assert.equal(await direct(), null);
  await stand.api.call("updateHypervisor", { id: stand.hypervisorId, body: { displayAddress: "10.0.0.7" } });
  assert.deepEqual(await direct(), { host: "10.0.0.7", port: 5907 });
  assert.equal(stand.agent.facts.settings.displayListen, "all", "displays are made to listen there");
  stand.agent.ticket = ticket;
  assert.equal(await direct(), null, "it listens on the loopback");
});
