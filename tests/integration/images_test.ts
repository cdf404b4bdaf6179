/** Versions of images on two hypervisors: copied, sealed, distributed, published, taken back, removed. */
import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import { ImagesStand } from "../support/images_stand.ts";
import { refused } from "../support/machines_stand.ts";

Deno.test("clones on another hypervisor get the initial's version there, byte for byte", async () => {
  await using stand = await ImagesStand.start();
  const version = await stand.version(1);
  assert.partialDeepStrictEqual(version, { state: "sealed", current: true, machineCount: 2 });
  assert.deepEqual(
    version.copies.map(({ hypervisorName, state, machineCount }) => ({
      hypervisorName,
      state,
      machineCount,
    })),
    [
      { hypervisorName: "host", state: "present", machineCount: 1 },
      { hypervisorName: "other", state: "present", machineCount: 1 },
    ],
  );
  const [here, there] = version.copies.map(({ path }, index) =>
    stand.agents[index]!.files.require(path).content
  );
  assert.deepEqual(there, here);
  assert.ok(stand.agents[1]!.calls.some(({ method }) => method === "receiving"), "it was streamed");
  assert.deepEqual(await stand.numbers(), [1, 1]);
});

Deno.test("where agents do not reach each other, the dashboard relays, over interruptions too", async () => {
  await using stand = await ImagesStand.start({ clones: [1, 0], agent: { reachesOthers: false } });
  stand.agents[1]!.failNext("sendStream", new AppError("unavailable", "the connection was cut"));
  stand.agents[0]!.failNext("imageStream", new AppError("unavailable", "the connection was cut"));
  stand.vdis.push(...await stand.addClones(1, 1));
  assert.deepEqual(await stand.numbers(), [1, 1]);
  const [here, there] = (await stand.version(1)).copies.map(({ path }, index) =>
    stand.agents[index]!.files.require(path).content
  );
  assert.deepEqual(there, here);
});

Deno.test("a transfer is picked up after a restart of the dashboard, and cancelled without a trace", async () => {
  await using stand = await ImagesStand.start({ clones: [1, 0] });
  const [here, there] = stand.agents;
  const distribute = async () => {
    const body = { hypervisorIds: [stand.hypervisorIds[1]!] };
    return (await stand.api.call("distributeVersion", { id: (await stand.version(1)).id, body })).job;
  };
  const received = async () => (await there.jobs()).filter(({ kind }) => kind === "receive-image");
  const path = (await stand.version(1)).copies[0]!.path;

  here.hold("send-image");
  const unwanted = await distribute();
  await stand.when(
    "it is being received",
    async () => (await received()).some(({ state }) => state === "running"),
  );
  await stand.api.call("cancelJob", { id: unwanted.id });
  assert.equal((await stand.ended(unwanted)).state, "cancelled");
  assert.deepEqual((await stand.version(1)).copies.map(({ hypervisorName }) => hypervisorName), ["host"]);
  assert.deepEqual((await received()).map(({ state }) => state), ["cancelled"]);
  assert.equal(there.files.has(path), false);

  const job = await distribute();
  await stand.when("it is being received again", async () => (await received()).length === 2);
  await stand.restart();
  here.release("send-image");
  await stand.succeeded(job);
  assert.deepEqual((await received()).map(({ state }) => state), ["cancelled", "succeeded"]);
  assert.deepEqual(there.files.require(path).content, here.files.require(path).content);
});

Deno.test("on shared storage a version is registered where it lies, without a copy, and deleted once", async () => {
  await using stand = await ImagesStand.start({ shared: true });
  const { copies } = await stand.version(1);
  assert.equal(copies.length, 2);
  assert.equal(new Set(copies.map(({ path }) => path)).size, 1);
  assert.ok(!stand.agents[1]!.calls.some(({ method }) => method === "receiving"));
  await stand.copy();
  await stand.succeeded(await stand.publish(2));
  await stand.copy();
  await assert.rejects(
    stand.api.call("deleteVersion", { id: (await stand.version(2)).id }),
    refused("conflict", /lab1-1, lab2-1 are based on it/),
  );
  await stand.succeeded((await stand.api.call("deleteVersion", { id: (await stand.version(1)).id })).job);
  assert.equal(stand.agents[0]!.files.has(copies[0]!.path), false);
  assert.deepEqual((await stand.image()).versions.map(({ number }) => number), [3, 2]);
});

Deno.test("on shared storage a version stays while anything on the other hypervisor is based on it", async () => {
  await using stand = await ImagesStand.start({ shared: true });
  const [, far] = stand.vdis;
  await leaseOf(stand, far!.id);
  await stand.copy();
  await stand.succeeded(await stand.publish(2));
  assert.deepEqual(await stand.numbers(), [2, 1]);
  const { id, copies: [copy] } = await stand.version(1);
  await assert.rejects(
    stand.api.call("deleteVersion", { id }),
    refused("conflict", /lab2-1 are based on it/),
  );
  const { items: [lease] } = await stand.api.call("listLeases", { query: {} });
  await stand.api.call("endLease", { id: lease!.id });
  await stand.untilNumbers(2, 2);
  const [path, backingPath] = ["/srv/somebody.qcow2", copy!.path];
  const disks = [{ target: "vda", device: "disk" as const, path, virtualBytes: 2 ** 30, backingPath }];
  const other = stand.agents[1].addDomain({ name: "somebody-else", managed: false, role: null, disks });
  const { job } = await stand.api.call("deleteVersion", { id });
  assert.match((await stand.ended(job)).error?.message ?? "", /in use on/);
  assert.ok(stand.agents[0].files.has(copy!.path));
  stand.agents[1].files.all.delete(path);
  stand.agents[1].removeDomain(other.id);
  await stand.succeeded((await stand.api.call("deleteVersion", { id })).job);
  assert.equal(stand.agents[0].files.has(copy!.path), false);
});

Deno.test("a draft is customised and sealed; nothing is ever written to a sealed version", async () => {
  await using stand = await ImagesStand.start();
  const draft = await stand.copy({ note: "Friday" });
  assert.partialDeepStrictEqual(draft, {
    number: 2,
    state: "draft",
    current: false,
    booted: false,
    note: "Friday",
  });
  const { initial } = stand;
  await stand.power(initial.id, "start");
  await assert.rejects(
    stand.api.call("sealVersion", { id: draft.id }),
    refused("conflict", /win-gold is running on it/),
  );
  await stand.power(initial.id, "destroy");
  await stand.when("the draft counts as customised", async () => (await stand.version(2)).booted);
  const sealed = await stand.seal(2);
  assert.match(sealed.sha256 ?? "", /^[0-9a-f]{64}$/);
  assert.equal(sealed.copies.length, 2, "it is where its clones will be");
  await assert.rejects(
    stand.power(initial.id, "start"),
    refused("conflict", /version 2 of its image is sealed/),
  );
  const { version } = await stand.api.call("unsealVersion", { id: sealed.id });
  assert.partialDeepStrictEqual(version, { state: "draft", sha256: null });
  assert.deepEqual(version.copies.map(({ hypervisorName }) => hypervisorName), ["host"]);
  await stand.power(initial.id, "start");
  await assert.rejects(
    stand.api.call("unsealVersion", { id: (await stand.version(1)).id }),
    refused("conflict", /lab1-1, lab2-1 are based on it/),
  );
});

Deno.test("copy, seal and distribution in one job", async () => {
  await using stand = await ImagesStand.start({ clones: [0, 0] });
  const version = await stand.copy({ seal: true, hypervisorIds: stand.hypervisorIds });
  assert.equal(version.state, "sealed");
  assert.deepEqual(version.copies.map(({ state }) => state), ["present", "present"]);
  assert.equal((await stand.image()).checklist.find(({ state }) => state === "next")?.step, "published");
});

Deno.test("rolling: machines that nobody uses move at once, the others when they are switched off", async () => {
  await using stand = await ImagesStand.start({ clones: [2, 1] });
  const [used] = stand.vdis;
  const ann = await leaseOf(stand, used!.id);
  await stand.copy();
  await stand.succeeded(await stand.publish(2));
  assert.deepEqual(await stand.numbers(), [1, 2, 2]);
  const { rollout } = await stand.image();
  assert.partialDeepStrictEqual(rollout, { mode: "rolling", total: 3, moved: 2 });
  assert.deepEqual(rollout?.waiting.map(({ name, reason }) => [name, reason]), [["lab1-1", "in use by ann"]]);
  assert.equal((await stand.machine(used!.id)).outdated, true);
  await stand.restart();
  assert.equal((await stand.image()).rollout?.waiting.length, 1, "a restart changes nothing");
  await stand.api.call("endLease", { id: ann.leaseId });
  await stand.untilNumbers(2, 2, 2);
  await stand.when("the end of the rollout", async () => (await stand.image()).rollout === null);
});

Deno.test("at once: users are warned, their sessions end, and a cancelled one leaves them alone", async () => {
  await using stand = await ImagesStand.start({ clones: [2, 0] });
  const ann = await leaseOf(stand, stand.vdis[0]!.id);
  await stand.copy();
  const long = await stand.publish(2, { mode: "now", countdownSeconds: 600, message: "Save your work." });
  const notice = () =>
    stand.dashboard.app.db.selectFrom("leases").select("notice").where("id", "=", ann.leaseId)
      .executeTakeFirstOrThrow();
  await stand.when(
    "ann is warned",
    async () => (await notice()).notice?.includes("Save your work.") ?? false,
  );
  assert.ok((await stand.image()).rollout?.endsSessionsAt);
  const { image } = await stand.api.call("cancelRollout", { id: stand.initial.id });
  assert.equal(image.rollout, null);
  assert.equal((await stand.ended(long)).state, "cancelled");
  assert.equal((await notice()).notice, null);
  assert.deepEqual(await stand.numbers(), [1, 2]);
  await stand.succeeded(await stand.publish(2, { mode: "now", countdownSeconds: 0, message: "Time is up." }));
  assert.deepEqual(await stand.numbers(), [2, 2]);
  const { items } = await stand.api.call("listLeases", { query: { active: "false" } });
  assert.match(items[0]?.endReason ?? "", /Time is up/);
});

Deno.test("roll back: the version before is published again", async () => {
  await using stand = await ImagesStand.start();
  await stand.copy();
  await stand.succeeded(await stand.publish(2));
  assert.deepEqual(await stand.numbers(), [2, 2]);
  await stand.succeeded(await stand.publish(1));
  assert.deepEqual(await stand.numbers(), [1, 1]);
  assert.equal((await stand.version(1)).current, true);
  assert.equal((await stand.machine(stand.initial.id)).imageVersion?.number, 2, "the initial stays");
});

Deno.test("a machine that fails stays where it was and says why, until it is asked for again", async () => {
  await using stand = await ImagesStand.start({ clones: [2, 0] });
  const [bad] = stand.vdis;
  const before = stand.baseOf(bad!);
  stand.agents[0]!.failPopulate(bad!.id, "qemu-img created nothing");
  await stand.copy();
  const ended = await stand.ended(await stand.publish(2));
  assert.equal(ended.state, "failed");
  assert.match(ended.error?.message ?? "", /published, but 1 of 2 failed: lab1-1.*created nothing/);
  assert.equal(stand.baseOf(bad!), before);
  const { rollout } = await stand.image();
  assert.match(rollout?.waiting[0]?.reason ?? "", /created nothing/);
  stand.agents[0]!.failPopulate(bad!.id, "still nothing");
  assert.match((await stand.ended(await stand.publish(2))).error?.message ?? "", /still nothing/);
});

Deno.test("a hypervisor that is away gets the version when it is back", async () => {
  await using stand = await ImagesStand.start();
  const [, other] = stand.agents;
  const lost = stand.when(
    "it is offline",
    () => Promise.resolve(!stand.dashboard.app.agents.status(stand.hypervisorIds[1]!).usable),
  );
  other.goOffline();
  await lost;
  await stand.copy();
  await stand.succeeded(await stand.publish(2));
  assert.deepEqual(await stand.numbers(), [2, 1]);
  assert.match((await stand.image()).rollout?.waiting[0]?.reason ?? "", /other is offline/);
  other.comeBack();
  await stand.untilNumbers(2, 2);
});

Deno.test("a copy whose file has gone is shown as missing, and distributed again", async () => {
  await using stand = await ImagesStand.start();
  const [, copy] = (await stand.version(1)).copies;
  const kept = stand.agents[1].files.require(copy!.path);
  stand.agents[1].files.all.delete(copy!.path);
  stand.agents[1].restart();
  await stand.when("it is missing", async () => (await stand.version(1)).copies[1]?.state === "missing");
  const body = { hypervisorIds: [stand.hypervisorIds[1]!] };
  const { job } = await stand.api.call("distributeVersion", { id: (await stand.version(1)).id, body });
  await stand.succeeded(job);
  assert.deepEqual(stand.agents[1].files.require(copy!.path).content, kept.content);
  assert.equal((await stand.version(1)).copies[1]?.state, "present");
});

Deno.test("an initial on another hypervisor than its source gets the disk streamed", async () => {
  await using stand = await ImagesStand.start({ clones: [0, 0] });
  const [initial] = await stand.create({
    name: "far-gold",
    role: "initial",
    sourceId: stand.source.id,
    hypervisorId: stand.hypervisorIds[1]!,
    copyDisk: true,
  });
  const { image } = await stand.api.call("getImage", { id: initial!.id });
  assert.partialDeepStrictEqual(image.versions, [{ number: 1, state: "draft", current: true }]);
  const [copy] = image.versions[0]!.copies;
  const sourceDisk = stand.agents[0].domains.get(stand.source.id)!.disks[0]!.path!;
  assert.deepEqual(
    stand.agents[1].files.require(copy!.path).content,
    stand.agents[0].files.require(sourceDisk).content,
  );
  assert.equal(stand.agents[1].domains.get(initial!.id)?.disks[0]?.path, copy!.path);
});

Deno.test("old versions go by the policy; those in use, pinned or young stay", async () => {
  const clock = { now: Date.now() };
  await using stand = await ImagesStand.start({ now: () => clock.now });
  await stand.api.call("updateSettings", { body: { keepImageVersions: 1, keepImageDays: 7 } });
  for (const number of [2, 3, 4]) {
    await stand.copy();
    await stand.succeeded(await stand.publish(number));
  }
  const { id } = await stand.version(2);
  await stand.api.call("updateVersion", { id, body: { pinned: true } });
  await assert.rejects(stand.api.call("deleteVersion", { id }), refused("conflict", /pinned/));
  clock.now += 8 * 24 * 3600_000;
  stand.dashboard.admin = await stand.dashboard.as("admin", "admin");
  await stand.copy();
  await stand.succeeded(await stand.publish(5));
  const numbers = async () => (await stand.image()).versions.map(({ number }) => number);
  await stand.when("1, 3 and 4 are gone", async () => JSON.stringify(await numbers()) === "[5,2]");
  const left = stand.agents.map(({ files }) =>
    [...files.all.keys()].filter((path) => /\.v[134]\./.test(path))
  );
  assert.deepEqual(left, [[], []]);
});

Deno.test("an adopted domain that becomes an initial has its disk as first version", async () => {
  await using stand = await ImagesStand.start({ clones: [0, 0] });
  const path = "/var/lib/libvirt/images/golden.qcow2";
  const domain = stand.agents[0].addDomain({
    name: "old-golden",
    managed: false,
    role: null,
    disks: [{ target: "vda", device: "disk", path, virtualBytes: 2 ** 30, backingPath: null }],
  });
  await stand.dashboard.app.agents.waitForDomain(domain.id, () => true, AbortSignal.timeout(5000));
  const [initial] = await stand.create({
    name: "old-golden",
    role: "initial",
    hypervisorId: stand.hypervisorId,
    disk: { kind: "domain", domainId: domain.id },
  });
  const { image } = await stand.api.call("getImage", { id: initial!.id });
  assert.partialDeepStrictEqual(image.versions, [{ number: 1, state: "draft", current: true }]);
  assert.equal(image.versions[0]?.copies[0]?.path, path);
});

/** Gives one machine to ann, by a desktop pool of its own. */
async function leaseOf(stand: ImagesStand, machineId: string): Promise<{ leaseId: string }> {
  const ann = await stand.dashboard.as("ann");
  const { desktopPool: { id } } = await stand.api.call("createDesktopPool", {
    body: { name: "Ann's", policy: { afterUse: "keep", returnAfterMinutes: 60 } },
  });
  await stand.api.call("putPoolMachines", { id, body: { machineIds: [machineId] } });
  await stand.api.call("putEntitlements", { id, body: { userIds: [ann.userId] } });
  const { desktop } = await ann.call("getDesktop", { body: { desktopPoolId: id } });
  await stand.until(machineId, "runs", ({ state }) => state === "running");
  return { leaseId: desktop.id };
}
