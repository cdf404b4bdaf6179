import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BodyOf } from "../../contracts/api.ts";
import type { DashboardEvent } from "../../contracts/events.ts";
import type { Machine } from "../../contracts/machine.ts";
import { uploadPieceBytes } from "../../contracts/storage.ts";
import { AgentUnreachable } from "../../server/agents/unreachable.ts";
import { dataDiskHypervisor, prepareDataDisk, releaseDataDisk } from "../../server/data_disks/service.ts";
import { startTestDashboard, type TestDashboard } from "../support/dashboard.ts";
import { FakeAgent, type FakeAgentOptions } from "../support/fake_agent.ts";
import { DashboardStand, gib, refused, sourceBody } from "../support/machines_stand.ts";

const MiB = 2 ** 20;

/** A dashboard with the hypervisors `host` and `other`. */
class TwoHosts extends DashboardStand {
  private constructor(dashboard: TestDashboard, readonly agent: FakeAgent, readonly other: FakeAgent) {
    super(dashboard);
  }

  static async start(options: { shared?: boolean; host?: FakeAgentOptions } = {}): Promise<TwoHosts> {
    const host = new FakeAgent(options.host);
    const other = new FakeAgent({ sharesFilesWith: options.shared ? host : null });
    const dashboard = await startTestDashboard({
      agents: { host, other },
      agentTimes: { heartbeatTimeoutMs: 15_000, retryDelaysMs: [5, 10, 20] },
    });
    const stand = new TwoHosts(dashboard, host, other);
    await stand.online();
    await dashboard.app.agents.untilUsable(stand.otherId, AbortSignal.timeout(5000));
    return stand;
  }

  get otherId(): string {
    return this.dashboard.hypervisorIds["other"]!;
  }

  override create(body: BodyOf<"createMachines">): Promise<Machine[]> {
    return super.create({ hypervisorId: this.hypervisorId, ...body });
  }

  /** Runs the job that an endpoint has started to its end. */
  async finish({ job }: { job: Parameters<DashboardStand["ended"]>[0] }) {
    return await this.ended(job);
  }

  async storage(id = this.hypervisorId) {
    return (await this.api.call("getStorage", { id })).files;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.agent[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
  }
}

const pathOf = (agent: FakeAgent, { id }: { id: string }): string =>
  agent.domains.get(id)!.disks.find(({ device }) => device === "disk")!.path!;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const signal = () => AbortSignal.timeout(10_000);

Deno.test("the storage page says whose each file is and whether it can go; only what can go is deleted", async () => {
  await using stand = await TwoHosts.start();
  const { agent } = stand;
  const { source, initial, vdis: [vdi] } = await stand.tree(1);
  const dir = agent.facts.settings.imageDir;
  agent.files.create(`${dir}/gone-12345678.qcow2`, gib, `${dir}/elsewhere.qcow2`);
  agent.files.create(`${dir}/half-12345678.qcow2.partial`, gib);
  agent.files.create(`${dir}/lost-12345678.data.qcow2`, gib);
  const files = await stand.storage();
  const about = (path: string) => files.find((file) => file.path === path)!;
  const version = about(pathOf(agent, initial));
  assert.deepEqual([version.kind, version.ownerName, version.removable], ["version", "win-gold", false]);
  assert.match(version.reason, /Version 1 of win-gold, the current one/);
  const overlay = about(pathOf(agent, vdi!));
  assert.deepEqual([overlay.kind, overlay.ownerId, overlay.removable], ["overlay", vdi!.id, false]);
  assert.deepEqual(
    files.filter(({ removable }) => removable).map(({ path }) => path.slice(dir.length + 1)).sort(),
    ["gone-12345678.qcow2", "half-12345678.qcow2.partial", "lost-12345678.data.qcow2"],
  );
  const { items } = await stand.api.call("deleteFiles", {
    id: stand.hypervisorId,
    body: { paths: [`${dir}/gone-12345678.qcow2`, pathOf(agent, source), "/etc/passwd"] },
  });
  assert.deepEqual(items.map(({ deleted }) => deleted), [true, false, false]);
  assert.match(items[1]!.message!, /in use by win-src/);
  assert.equal(agent.files.has(`${dir}/gone-12345678.qcow2`), false);
  const { items: [entry] } = await stand.api.call("listAudit", { query: { action: "file.delete" } });
  assert.match(entry!.detail!, /gone-12345678/);
});

Deno.test("a version on a hypervisor without its initial is no stray", async () => {
  await using stand = await TwoHosts.start();
  const { initial } = await stand.tree(1);
  const { imageVersion } = await stand.machine(initial.id);
  const job = await stand.finish(
    await stand.api.call("distributeVersion", {
      id: imageVersion!.id,
      body: { hypervisorIds: [stand.otherId] },
    }),
  );
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  const [file] = await stand.storage(stand.otherId);
  assert.deepEqual([file?.kind, file?.ownerId, file?.removable], ["version", initial.id, false]);
});

Deno.test("an upload arrives in pieces, goes on where it stopped, and is told to the browsers", async () => {
  await using stand = await TwoHosts.start();
  const { api, hypervisorId } = stand;
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const told: DashboardEvent[] = [];
  stand.dashboard.app.bus.subscribe((change) => change.type === "upload" && told.push(change));
  const { upload } = await api.call("createUpload", {
    body: { hypervisorId, fileName: "windows 11.raw", bytes: bytes.length },
  });
  const piece = async (offset: number, body: Uint8Array<ArrayBuffer>, client = api) => {
    const response = await client.fetch(`/api/uploads/${upload.id}`, {
      method: "PATCH",
      headers: { "Upload-Offset": String(offset), "Content-Type": "application/octet-stream" },
      body,
    });
    return { status: response.status, text: await response.text() };
  };
  assert.equal((await piece(0, bytes.slice(0, 40_000))).status, 200);
  const wrong = await piece(0, bytes.slice(0, 10));
  assert.equal(wrong.status, 409);
  assert.match(wrong.text, /40000/);
  assert.equal((await piece(40_000, bytes, await stand.dashboard.as("olga", "operator"))).status, 403);
  assert.equal((await piece(40_000, new Uint8Array(uploadPieceBytes + 1))).status, 400);
  assert.equal((await api.call("getUpload", { id: upload.id })).upload.receivedBytes, 40_000);

  await stand.restart();
  const again = stand.api;
  assert.equal((await again.call("listUploads")).items[0]?.receivedBytes, 40_000);
  const rest = await piece(40_000, bytes.slice(40_000), again);
  assert.equal(rest.status, 200, rest.text);
  const { upload: done } = await again.call("finishUpload", {
    id: upload.id,
    body: { sha256: sha256(bytes) },
  });
  assert.deepEqual([done.state, done.receivedBytes, done.sha256], ["done", bytes.length, sha256(bytes)]);
  assert.deepEqual(stand.agent.files.require(done.path!).content, bytes);
  await assert.rejects(again.call("cancelUpload", { id: upload.id }), refused("conflict", /in its place/));
  assert.ok(told.length >= 2);
});

Deno.test("uploads keep to the quota, and a wrong checksum fails them", async () => {
  await using stand = await TwoHosts.start();
  const { api, hypervisorId } = stand;
  await api.call("updateSettings", { body: { uploadQuotaGiB: 1 } });
  const begin = (fileName: string, bytes: number) =>
    api.call("createUpload", { body: { hypervisorId, fileName, bytes } });
  const { upload } = await begin("a.raw", gib - 10);
  await assert.rejects(begin("b.raw", 11), refused("conflict", /quota has 0\.0 GiB of 1 GiB left/));
  await api.call("cancelUpload", { id: upload.id });
  const { upload: small } = await begin("b.raw", 4);
  const sent = await api.fetch(`/api/uploads/${small.id}`, {
    method: "PATCH",
    headers: { "Upload-Offset": "0" },
    body: new Uint8Array(4),
  });
  assert.equal(sent.status, 200, await sent.text());
  await assert.rejects(
    api.call("finishUpload", { id: small.id, body: { sha256: "0".repeat(64) } }),
    refused("invalid", /checksum|SHA-256/),
  );
  const { upload: failed } = await api.call("getUpload", { id: small.id });
  assert.equal(failed.state, "failed");
  await api.call("updateSettings", { body: { uploadQuotaGiB: 0 } });
  await assert.rejects(begin("c.raw", 1), refused("conflict", /switched off/));
});

Deno.test("files are downloaded by admins, whole or from an offset on", async () => {
  await using stand = await TwoHosts.start();
  const { api, agent, hypervisorId } = stand;
  const path = `${agent.facts.settings.isoDir}/set up.iso`;
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  agent.files.put(path, content);
  const url = `/api/hypervisors/${hypervisorId}/files?path=${encodeURIComponent(path)}`;
  const whole = await api.fetch(url);
  assert.equal(whole.status, 200);
  assert.match(whole.headers.get("content-disposition")!, /^attachment; filename="set up\.iso"/);
  assert.deepEqual(new Uint8Array(await whole.arrayBuffer()), content);
  const part = await api.fetch(url, { headers: { Range: "bytes=100-199" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 100-199/50000");
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), content.slice(100, 200));
  const operator = await stand.dashboard.as("olga", "operator");
  const refusedAnswer = await operator.fetch(url);
  assert.equal(refusedAnswer.status, 403);
  await refusedAnswer.body?.cancel();
});

Deno.test("flatten makes a vdi a simple machine of its own, which stays in its pool", async () => {
  await using stand = await TwoHosts.start();
  const { vdis: [vdi] } = await stand.tree(1);
  const { desktopPool } = await stand.api.call("createDesktopPool", { body: { name: "lab" } });
  await stand.api.call("putPoolMachines", { id: desktopPool.id, body: { machineIds: [vdi!.id] } });
  const job = await stand.finish(await stand.api.call("flattenMachine", { id: vdi!.id }));
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  const machine = await stand.machine(vdi!.id);
  assert.deepEqual(
    [machine.role, machine.sourceId, machine.imageVersion, machine.populatedAt, machine.desktopPools.length],
    ["simple", null, null, null, 1],
  );
  await assert.rejects(
    stand.api.call("flattenMachine", { id: vdi!.id }),
    refused("invalid", /only vdi machines/),
  );
});

Deno.test("a disk grows; a vdi's is not touched, and none shrinks", async () => {
  await using stand = await TwoHosts.start();
  const { source, vdis: [vdi] } = await stand.tree(1);
  const resize = (id: string, bytes: number) => stand.api.call("resizeDisk", { id, body: { bytes } });
  await assert.rejects(resize(vdi!.id, 100 * gib), refused("invalid", /resize the source and publish/));
  await assert.rejects(resize(source.id, gib), refused("invalid", /never shrinks/, "bytes"));
  const job = await stand.finish(await resize(source.id, 40 * gib));
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  assert.equal((await stand.machine(source.id)).diskBytes, 40 * gib);
});

Deno.test("a machine gets a data disk of its own, which grows, stays at populate and goes with it", async () => {
  await using stand = await TwoHosts.start();
  const { api, agent } = stand;
  const { source, initial, vdis: [vdi] } = await stand.tree(1);
  const put = (id: string, bytes: number) => api.call("putDataDisk", { id, body: { bytes } });
  await assert.rejects(put(source.id, gib), refused("invalid", /only vdi and simple/));
  const { machine } = await put(vdi!.id, gib);
  assert.deepEqual([machine.dataDisk?.scope, machine.dataDisk?.bytes], ["machine", gib]);
  const path = agent.domains.get(vdi!.id)!.disks.find(({ target }) => target === "vdb")!.path!;
  assert.equal((await put(vdi!.id, 2 * gib)).machine.dataDisk?.bytes, 2 * gib);
  await assert.rejects(put(vdi!.id, gib), refused("invalid", /never shrinks/, "bytes"));
  const { job } = await api.call("populate", { id: initial.id });
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.equal((await stand.machine(vdi!.id)).dataDisk?.bytes, 2 * gib);
  const { items: [disk] } = await api.call("listDataDisks");
  assert.deepEqual([disk?.ownerName, disk?.attachedTo?.name], [vdi!.name, vdi!.name]);
  const { plan } = await api.call("planDeletion", { id: vdi!.id });
  assert.deepEqual(plan.dataDisks, [{ id: disk!.id, ownerName: vdi!.name }]);
  const deletion = await stand.finish(await api.call("deleteMachine", { id: vdi!.id }));
  assert.equal(deletion.state, "succeeded", deletion.error?.message ?? "");
  assert.equal(agent.files.has(path), false);
  assert.equal((await api.call("listDataDisks")).total, 0);
});

/** A pool whose users have data disks, with a user. */
async function makePool(stand: TwoHosts, machineIds: string[]) {
  const { desktopPool } = await stand.api.call("createDesktopPool", {
    body: { name: "desks", policy: { dataDisk: { scope: "user", bytes: 64 * MiB } } },
  });
  await stand.api.call("putPoolMachines", { id: desktopPool.id, body: { machineIds } });
  const { userId } = await stand.dashboard.as("Änna b.");
  return { userId, username: "Änna b.", desktopPoolId: desktopPool.id };
}

const placeOf = ({ id, name, hypervisorId }: Machine) => ({ id, name, hypervisorId });

Deno.test("a user's data disk is made at first use, follows the user to another hypervisor, and is never on two machines", async () => {
  await using stand = await TwoHosts.start();
  const { app } = stand.dashboard;
  const disk = { kind: "blank" as const, bytes: gib };
  const [one] = await stand.create({ name: "one", role: "simple", disk });
  const [two] = await stand.create({ name: "two", role: "simple", disk, hypervisorId: stand.otherId });
  const lease = await makePool(stand, []);
  assert.equal(await dataDiskHypervisor(app, lease.userId), null);
  await prepareDataDisk(app, lease, placeOf(one!), signal());
  assert.equal(await dataDiskHypervisor(app, lease.userId), stand.hypervisorId);
  assert.equal((await stand.machine(one!.id)).dataDisk?.scope, "user");
  const path = stand.agent.domains.get(one!.id)!.disks.find(({ target }) => target === "vdb")!.path!;
  const content = stand.agent.files.require(path).content;

  await releaseDataDisk(app, one!.id);
  assert.equal((await stand.machine(one!.id)).dataDisk, null);
  await prepareDataDisk(app, lease, placeOf(two!), signal());
  assert.equal(await dataDiskHypervisor(app, lease.userId), stand.otherId);
  const moved = stand.other.domains.get(two!.id)!.disks.find(({ target }) => target === "vdb")!.path!;
  assert.deepEqual(stand.other.files.require(moved).content, content);
  assert.equal(stand.agent.files.has(path), false);

  await releaseDataDisk(app, two!.id);
  stand.other.goOffline();
  await stand.when(
    "the other hypervisor is offline",
    () => Promise.resolve(!app.agents.status(stand.otherId).usable),
  );
  await assert.rejects(prepareDataDisk(app, lease, placeOf(one!), signal()), {
    code: "unavailable",
    message: /data disk of Änna b\. cannot be brought to one now/,
  });
  assert.equal((await stand.machine(one!.id)).dataDisk, null);
});

Deno.test("a user's disk that another lease holds is refused; one that was left attached is taken back", async () => {
  await using stand = await TwoHosts.start();
  const { app } = stand.dashboard;
  const disk = { kind: "blank" as const, bytes: gib };
  const [one] = await stand.create({ name: "one", role: "simple", disk });
  const [two] = await stand.create({ name: "two", role: "simple", disk });
  const lease = await makePool(stand, []);
  await prepareDataDisk(app, lease, placeOf(one!), signal());
  await prepareDataDisk(app, lease, placeOf(two!), signal());
  assert.equal((await stand.machine(one!.id)).dataDisk, null);
  assert.equal((await stand.machine(two!.id)).dataDisk?.scope, "user");
  stand.agent.failNext("setDataDisk", new AgentUnreachable("cut", null));
  await assert.rejects(prepareDataDisk(app, lease, placeOf(one!), signal()));
  await prepareDataDisk(app, { ...lease, userId: null, desktopPoolId: null }, placeOf(two!), signal());
  assert.equal((await stand.machine(two!.id)).dataDisk, null, "another user's disk never stays on a machine");
  const { items: [known] } = await stand.api.call("listDataDisks", { query: { userId: lease.userId } });
  await stand.api.call("deleteDataDisk", { id: known!.id });
  assert.deepEqual((await stand.storage()).filter(({ kind }) => kind === "data"), []);
});

Deno.test("an initial goes with its clones and its versions on every hypervisor; what is in the way is named", async () => {
  await using stand = await TwoHosts.start();
  const { api } = stand;
  const { initial, vdis } = await stand.tree(2);
  const { imageVersion } = await stand.machine(initial.id);
  await stand.finish(
    await api.call("distributeVersion", { id: imageVersion!.id, body: { hypervisorIds: [stand.otherId] } }),
  );
  await api.call("updateMachine", { id: vdis[0]!.id, body: { locked: true } });
  await api.call("powerMachine", { id: vdis[1]!.id, body: { action: "start" } });
  const { plan } = await api.call("planDeletion", { id: initial.id });
  assert.deepEqual(plan.machines.map(({ role }) => role), ["vdi", "vdi", "initial"]);
  assert.deepEqual(
    new Set(plan.files.map(({ hypervisorName }) => hypervisorName)),
    new Set(["host", "other"]),
  );
  assert.equal(plan.files.length, 4);
  assert.match(plan.obstacles.join(" "), /lab-1 is locked.*lab-2 is running/);
  const cascade = () => api.call("deleteMachine", { id: initial.id, query: { cascade: "true" } });
  await assert.rejects(cascade(), refused("conflict", /lab-1 is locked/));
  await assert.rejects(
    api.call("deleteMachine", { id: initial.id }),
    refused("conflict", /are made from it/),
  );
  await api.call("updateMachine", { id: vdis[0]!.id, body: { locked: false } });
  await api.call("powerMachine", { id: vdis[1]!.id, body: { action: "destroy" } });
  const job = await stand.finish(await cascade());
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  assert.equal((await api.call("listMachines")).total, 1);
  assert.deepEqual((await stand.storage()).map(({ kind }) => kind), ["disk"]);
  assert.deepEqual(await stand.storage(stand.otherId), []);
  assert.equal(stand.agent.domains.size, 1);
});

Deno.test("a machine moves to another hypervisor with its disk and data disk, byte for byte", async () => {
  await using stand = await TwoHosts.start();
  const { api, agent, other } = stand;
  const [machine] = await stand.create({
    name: "solo",
    role: "simple",
    disk: { kind: "blank", bytes: gib },
    network: "none",
  });
  await api.call("putDataDisk", { id: machine!.id, body: { bytes: 32 * MiB } });
  const { mac } = machine!;
  const content = sha256(agent.files.require(pathOf(agent, machine!)).content);
  const job = await stand.finish(
    await api.call("moveMachine", { id: machine!.id, body: { hypervisorId: stand.otherId } }),
  );
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  const moved = await stand.machine(machine!.id);
  assert.deepEqual([moved.hypervisorId, moved.mac, moved.state], [stand.otherId, mac, "shut-off"]);
  assert.equal(moved.dataDisk?.bytes, 32 * MiB);
  assert.equal(sha256(other.files.require(pathOf(other, machine!)).content), content);
  assert.equal(agent.domains.size, 0);
  assert.deepEqual([...agent.files.all.keys()], []);
});

Deno.test("a vdi moves with the version below its overlay; on shared storage nothing is copied", async () => {
  for (const shared of [false, true]) {
    await using stand = await TwoHosts.start({ shared });
    const { initial, vdis: [vdi] } = await stand.tree(1);
    const before = pathOf(stand.agent, vdi!);
    const job = await stand.finish(
      await stand.api.call("moveMachine", { id: vdi!.id, body: { hypervisorId: stand.otherId } }),
    );
    assert.equal(job.state, "succeeded", job.error?.message ?? "");
    const moved = await stand.machine(vdi!.id);
    assert.equal(moved.hypervisorId, stand.otherId);
    assert.equal(moved.imageVersion?.number, 1);
    assert.equal(moved.outdated, false);
    assert.deepEqual(
      await stand.api.call("getMachineDisks", { id: vdi!.id }).then(({ items }) =>
        items[0]?.chain.map(({ kind }) => kind)
      ),
      ["overlay", "image"],
    );
    assert.equal(stand.agent.domains.has(vdi!.id), false);
    assert.equal(stand.agent.files.has(before), shared);
    if (shared) assert.equal(pathOf(stand.other, vdi!), before);
    assert.ok(stand.agent.domains.has(initial.id));
  }
});

Deno.test("a move that fails leaves the machine where it was, and nothing on the other hypervisor", async () => {
  await using stand = await TwoHosts.start();
  const [machine] = await stand.create({ name: "solo", role: "simple", disk: { kind: "blank", bytes: gib } });
  stand.other.hold("create-machine");
  const { job } = await stand.api.call("moveMachine", {
    id: machine!.id,
    body: { hypervisorId: stand.otherId },
  });
  await stand.when("the disk is there", () => Promise.resolve(stand.other.files.all.size > 0));
  await stand.api.call("cancelJob", { id: job.id });
  stand.other.release("create-machine");
  assert.equal((await stand.ended(job)).state, "cancelled");
  assert.equal((await stand.machine(machine!.id)).hypervisorId, stand.hypervisorId);
  assert.ok(stand.agent.domains.has(machine!.id));
  assert.equal(stand.other.domains.size, 0);
  assert.deepEqual([...stand.other.files.all.keys()], []);
});

Deno.test("what cannot be moved is refused with the remedy", async () => {
  await using stand = await TwoHosts.start();
  const { initial, vdis: [vdi] } = await stand.tree(1);
  const move = (id: string, hypervisorId = stand.otherId) =>
    stand.api.call("moveMachine", { id, body: { hypervisorId } });
  await assert.rejects(move(initial.id), refused("invalid", /Distribute its versions/));
  await assert.rejects(move(vdi!.id, stand.hypervisorId), refused("invalid", /is on host already/));
  stand.other.facts = { ...stand.other.facts, networks: [] };
  stand.other.emit({ type: "facts", facts: stand.other.facts });
  const [source] = await stand.create({ ...sourceBody("net"), network: "default" });
  await stand.when(
    "the facts have arrived",
    () => Promise.resolve(stand.dashboard.app.agents.status(stand.otherId).facts?.networks.length === 0),
  );
  await assert.rejects(move(source!.id), refused("invalid", /no network default/));
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  await assert.rejects(move(vdi!.id), refused("conflict", /Shut it down first/));
});

Deno.test("a copy of a machine has an id, a name and a MAC address of its own, here and elsewhere", async () => {
  await using stand = await TwoHosts.start();
  const { vdis: [vdi] } = await stand.tree(1);
  for (const hypervisorId of [stand.hypervisorId, stand.otherId]) {
    const name = `copy-${hypervisorId === stand.otherId ? "there" : "here"}`;
    const { job, machine } = await stand.api.call("copyMachine", {
      id: vdi!.id,
      body: { hypervisorId, name },
    });
    const ended = await stand.ended(job);
    assert.equal(ended.state, "succeeded", ended.error?.message ?? "");
    const copy = await stand.machine(machine.id);
    assert.deepEqual([copy.name, copy.role, copy.hypervisorId], [name, "vdi", hypervisorId]);
    assert.equal(copy.imageVersion?.number, 1);
    assert.notEqual(copy.populatedAt, null);
    const agent = hypervisorId === stand.otherId ? stand.other : stand.agent;
    assert.notEqual(pathOf(agent, copy), pathOf(stand.agent, vdi!));
  }
  await assert.rejects(
    stand.api.call("copyMachine", {
      id: vdi!.id,
      body: { hypervisorId: stand.hypervisorId, name: vdi!.name },
    }),
    refused("conflict", /has a machine named/, "name"),
  );
});

Deno.test("a copy that fails leaves neither machine nor file", async () => {
  await using stand = await TwoHosts.start();
  const [machine] = await stand.create({ name: "solo", role: "simple", disk: { kind: "blank", bytes: gib } });
  stand.agent.hold("copy-image");
  const { job, machine: copy } = await stand.api.call("copyMachine", {
    id: machine!.id,
    body: { hypervisorId: stand.hypervisorId, name: "second" },
  });
  await assert.rejects(
    stand.api.call("powerMachine", { id: machine!.id, body: { action: "start" } }),
    refused("conflict", /busy/),
  );
  await stand.api.call("cancelJob", { id: job.id });
  stand.agent.release("copy-image");
  assert.equal((await stand.ended(job)).state, "cancelled");
  await assert.rejects(stand.machine(copy.id), refused("not_found", /no such machine/));
  assert.deepEqual([...stand.agent.files.all.keys()], [pathOf(stand.agent, machine!)]);
});

Deno.test("several existing domains are imported at once, their disks untouched", async () => {
  await using stand = await TwoHosts.start();
  const domains = [1, 2, 3].map((n) =>
    stand.agent.addDomain({ name: `old-${n}`, managed: false, role: null })
  );
  await stand.when(
    "they are known",
    async () =>
      (await stand.api.call("listImportableDomains", { id: stand.hypervisorId })).items.length === 3,
  );
  const machines = await Promise.all(
    domains.map(({ id, name }, index) =>
      stand.create({ name, role: index === 0 ? "source" : "simple", disk: { kind: "domain", domainId: id } })
    ),
  );
  assert.deepEqual(machines.flat().map(({ role }) => role), ["source", "simple", "simple"]);
  for (const domain of domains) {
    assert.deepEqual(stand.agent.domains.get(domain.id)?.disks, domain.disks);
  }
});
