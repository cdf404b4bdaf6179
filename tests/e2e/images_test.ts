/** Versions of an image on two hypervisors with users on: published rolling and at once, taken back, kept, removed. */
import assert from "node:assert/strict";
import type { Machine } from "../../contracts/machine.ts";
import { eventually } from "../support/eventually.ts";
import { makePool, type TestPool } from "../support/golden_image.ts";
import { type ApiError, type ApiUser } from "../support/stand.ts";
import { remoteImageDir, TwoHosts } from "../support/two_hosts.ts";

const started = new AsyncDisposableStack();
let lab: TwoHosts;
let pool: TestPool;
let ann: ApiUser;

Deno.test.beforeAll(async () => {
  lab = started.use(await TwoHosts.start("e2e-img-"));
  await lab.enrolBoth();
  await lab.makeDesktops(2);
  pool = await makePool(lab.stand, "lab", lab.vdis.map(({ id }) => id), ["ann", "ben"]);
  ann = await lab.stand.signIn("ann", pool.password);
});
Deno.test.afterAll(() => started.disposeAsync());

const imageNow = async () => (await lab.admin.call("getImage", { id: lab.initial.id })).image;
const versionNow = async (number: number) => {
  const version = (await imageNow()).versions.find((one) => one.number === number);
  assert.ok(version, `version ${number} exists`);
  return version;
};
/** The version below a machine's overlay, as qemu-img sees it. */
const versionOf = async (machine: Machine) => Number(/\.v(\d+)\.qcow2$/.exec(await lab.baseOf(machine))?.[1]);
const versions = () => Promise.all(lab.vdis.map(versionOf));

Deno.test("a new version is customised and sealed without touching anybody's desktop", async () => {
  const { admin } = lab;
  const before = await Promise.all(lab.vdis.map((vdi) => lab.baseOf(vdi)));
  await admin.done(
    (await admin.call("copyDisk", { id: lab.initial.id, body: { note: "Friday" } })).job,
    120_000,
  );
  assert.equal((await versionNow(2)).state, "draft");
  await admin.call("powerMachine", { id: lab.initial.id, body: { action: "start" } });
  const guest = lab.guest(lab.initial);
  await guest.ready();
  await guest.writeFile("/data/edition", "Friday");
  await admin.call("powerMachine", { id: lab.initial.id, body: { action: "shutdown" } });
  await admin.inState(lab.initial.id, "shut-off");
  const draft = await versionNow(2);
  assert.equal(draft.booted, true);
  await admin.done((await admin.call("sealVersion", { id: draft.id })).job, 120_000);
  const sealed = await versionNow(2);
  assert.equal(sealed.state, "sealed");
  assert.equal(sealed.current, false);
  for (const copy of sealed.copies) {
    const host = lab.hosts.find(({ hypervisorId }) => hypervisorId === copy.hypervisorId)!;
    assert.equal(await host.sha256(copy.path), sealed.sha256, "the same bytes on every hypervisor");
  }
  assert.equal(sealed.copies.length, 2);
  assert.deepEqual(await Promise.all(lab.vdis.map((vdi) => lab.baseOf(vdi))), before);
  await assert.rejects(
    admin.call("powerMachine", { id: lab.initial.id, body: { action: "start" } }),
    (error: ApiError) => error.code === "conflict" && /sealed/.test(error.message),
  );
});

Deno.test("rolling: an idle desktop moves at once, a used one when its user leaves", async () => {
  const { admin, stand } = lab;
  const desktop = await stand.desktopReady(ann, pool.id);
  const used = lab.vdis.find(({ id }) => id === desktop.machine!.id)!;
  const idle = lab.vdis.find(({ id }) => id !== used.id)!;
  await lab.guest(used).ready();
  await lab.guest(used).writeFile("/data/work", "ann's work");
  const { job } = await admin.call("publishVersion", {
    id: (await versionNow(2)).id,
    body: { mode: "rolling" },
  });
  await eventually("the idle desktop has moved", async () => await versionOf(idle) === 2, {
    timeoutMs: 60_000,
  });
  assert.equal(await versionOf(used), 1);
  assert.equal(await lab.guest(used).readFile("/data/work"), "ann's work");
  const { rollout } = await imageNow();
  assert.deepEqual(rollout?.waiting.map(({ machineId }) => machineId), [used.id]);
  assert.equal((await admin.machine(used.id)).outdated, true);
  await ann.call("endMyDesktop", { id: desktop.id });
  await eventually("the other has moved too", async () => await versionOf(used) === 2, { timeoutMs: 60_000 });
  await admin.done(job, 30_000);
  await eventually("the rollout has ended", async () => (await imageNow()).rollout === null);

  const again = await stand.desktopReady(ann, pool.id);
  const machine = await admin.machine(again.machine!.id);
  await lab.guest(machine).ready();
  assert.equal(await lab.guest(machine).readFile("/data/edition"), "Friday");
});

Deno.test("roll back at once: users are warned, and find the old image", async () => {
  const { admin, stand } = lab;
  const { items: [held] } = await ann.call("listMyDesktops");
  assert.ok(held);
  const { job } = await admin.call("publishVersion", {
    id: (await versionNow(1)).id,
    body: { mode: "now", countdownSeconds: 6, message: "Friday's image is taken back." },
  });
  const warned = await eventually("ann is warned", async () => {
    const { desktop } = await ann.call("getMyDesktop", { id: held.id });
    return desktop.notice;
  });
  assert.match(warned.message, /taken back/);
  await admin.done(job, 120_000);
  assert.ok(Date.now() >= warned.endsAt - 1000, "not before the countdown was over");
  assert.deepEqual(await versions(), [1, 1]);
  assert.equal((await versionNow(1)).current, true);
  const desktop = await stand.desktopReady(ann, pool.id);
  const machine = await admin.machine(desktop.machine!.id);
  await lab.guest(machine).ready();
  await assert.rejects(lab.guest(machine).readFile("/data/edition"), /No such file/);
});

Deno.test("a version in use stays, one that is not goes from every hypervisor", async () => {
  const { admin } = lab;
  await assert.rejects(
    admin.call("deleteVersion", { id: (await versionNow(1)).id }),
    (error: ApiError) => error.code === "conflict",
  );
  // The initial boots from version 2; a third takes its place.
  await admin.done((await admin.call("copyDisk", { id: lab.initial.id })).job, 120_000);
  const second = await versionNow(2);
  await admin.done((await admin.call("deleteVersion", { id: second.id })).job, 60_000);
  for (const copy of second.copies) {
    const host = lab.hosts.find(({ hypervisorId }) => hypervisorId === copy.hypervisorId)!;
    await assert.rejects(host.run("test", "-e", copy.path));
  }
  assert.deepEqual((await imageNow()).versions.map(({ number }) => number), [3, 1]);
});

Deno.test("a machine moves to the other hypervisor with what was written to it", async () => {
  const { admin } = lab;
  const { items } = await admin.call("listLeases", { query: { active: "true" } });
  for (const { id } of items) await admin.call("endLease", { id });
  const vdi = lab.vdis[0]!;
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } }).catch(() => {});
  await admin.inState(vdi.id, "running");
  await lab.guest(vdi).ready();
  await lab.guest(vdi).writeFile("/data/mine", "moved along");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "shutdown" } });
  await admin.inState(vdi.id, "shut-off");
  const from = lab.hostOf(vdi);
  const to = lab.hosts.find((host) => host !== from)!;
  await admin.done(
    (await admin.call("moveMachine", { id: vdi.id, body: { hypervisorId: to.hypervisorId } })).job,
    120_000,
  );
  const moved = await admin.machine(vdi.id);
  assert.equal(moved.hypervisorId, to.hypervisorId);
  assert.ok(!(await from.virsh("list", "--all", "--name")).includes(vdi.name), "it is on one host only");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await admin.inState(vdi.id, "running");
  await lab.guest(moved).ready();
  assert.equal(await lab.guest(moved).readFile("/data/mine"), "moved along");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
});

Deno.test("on shared storage a version is one file, which desktops of both hosts are based on", async () => {
  const { admin, stand, hosts: [north, south] } = lab;
  const shared = `${stand.dir}/shared`;
  await Deno.mkdir(shared, { mode: 0o755 });
  for (const { hypervisorId } of lab.hosts) {
    await admin.call("updateHypervisor", { id: hypervisorId, body: { settings: { imageDir: shared } } });
  }
  const source = await admin.create({
    ...{ name: stand.name("shared-source"), role: "source", hypervisorId: north.hypervisorId },
    disk: { kind: "import", path: `${remoteImageDir}/demo.qcow2` },
    ...{ vcpus: 1, memoryMiB: 192, network: "none" },
  });
  const initial = await admin.create({
    ...{ name: stand.name("shared-initial"), role: "initial", sourceId: source.id },
    copyDisk: true,
  });
  const vdis = [];
  for (const { name, hypervisorId } of lab.hosts) {
    vdis.push(
      await admin.create({
        ...{ name: stand.name(`shared-${name}`), role: "vdi", sourceId: initial.id, hypervisorId },
        populate: true,
      }),
    );
  }
  const bases = await Promise.all(vdis.map((vdi) => lab.baseOf(vdi)));
  assert.equal(bases[0], bases[1]);
  const names = (await Array.fromAsync(Deno.readDir(shared))).map(({ name }) => name);
  assert.equal(names.filter((name) => /\.v\d+\.qcow2$/.test(name)).length, 1, names.join());
  const away = vdis.find(({ hypervisorId }) => hypervisorId === south.hypervisorId)!;
  await admin.call("powerMachine", { id: away.id, body: { action: "start" } });
  await lab.guest(away).ready();
  await admin.call("powerMachine", { id: away.id, body: { action: "destroy" } });
  await admin.inState(away.id, "shut-off");
  const { files } = await admin.call("getStorage", { id: north.hypervisorId });
  const overlay = files.find(({ path }) => path.includes(away.name));
  assert.equal(overlay?.removable, false, "the other host's overlay is not offered for removal");
});
