/** Files in and out of a hypervisor, disks that grow and stand alone, and what survives a populate. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { plainPaths } from "../../contracts/api.ts";
import { uploadPieceBytes } from "../../contracts/storage.ts";
import { run } from "../../lib/process.ts";
import { eventually } from "../support/eventually.ts";
import { type GoldenImage, makeGoldenImage, makePool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { type ApiError, type ApiUser, demoGuest, Stand, virsh } from "../support/stand.ts";

const started = new AsyncDisposableStack();
let stand: Stand;
let admin: ApiUser;
let golden: GoldenImage;
let hypervisorId: string;

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-store-" }));
  admin = await stand.admin();
  golden = await makeGoldenImage(stand, { vdis: 2 });
  hypervisorId = golden.source.hypervisorId;
});
Deno.test.afterAll(() => started.disposeAsync());

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const vda = async (name: string) => /vda\s+(\S+)/.exec(await virsh("domblklist", name))![1]!;
const imageInfo = async (path: string) =>
  JSON.parse((await run(["qemu-img", "info", "-U", "--output=json", path])).stdout);

async function sendPiece(
  uploadId: string,
  offset: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Response> {
  return await stand.fetch(plainPaths.uploadPiece(uploadId), {
    method: "PATCH",
    headers: { authorization: `Bearer ${admin.token}`, "upload-offset": String(offset) },
    body: bytes,
  });
}

async function sendAll(uploadId: string, bytes: Uint8Array<ArrayBuffer>, from = 0): Promise<void> {
  for (let at = from; at < bytes.length; at += uploadPieceBytes) {
    const response = await sendPiece(uploadId, at, bytes.slice(at, at + uploadPieceBytes));
    assert.equal(response.status, 200, await response.text());
  }
}

async function begin(fileName: string, bytes: number) {
  return (await admin.call("createUpload", { body: { hypervisorId, fileName, bytes } })).upload;
}

Deno.test("an upload goes on where it stopped, also after the agent was killed, and a machine is made of it", async () => {
  const bytes = await Deno.readFile(demoGuest);
  const half = Math.floor(bytes.length / 2);
  const upload = await begin("demo upload.qcow2", bytes.length);
  await sendAll(upload.id, bytes.slice(0, half));
  const { agent } = await stand.pids();
  Deno.kill(agent, "SIGKILL");
  await eventually("the agent is back and knows how far it was", async () => {
    const response = await sendPiece(upload.id, half - 1, bytes.slice(half - 1, half + 99));
    return response.status === 409 && (await response.text()).includes(String(half));
  }, { timeoutMs: 20_000 });
  const { upload: known } = await admin.call("getUpload", { id: upload.id });
  assert.equal(known.receivedBytes, half);
  await sendAll(upload.id, bytes, half);
  const { upload: done } = await admin.call("finishUpload", {
    id: upload.id,
    body: { sha256: sha256(bytes) },
  });
  assert.equal(done.state, "done");
  assert.equal(done.format, "qcow2");
  assert.deepEqual(await Deno.readFile(done.path!), bytes);
  const machine = await admin.create({
    ...{ name: stand.name("uploaded"), role: "simple", vcpus: 1, memoryMiB: 192, network: "none" },
    disk: { kind: "import", path: done.path! },
  });
  await admin.call("powerMachine", { id: machine.id, body: { action: "start" } });
  await guestOf(machine.name).ready();
  await admin.call("powerMachine", { id: machine.id, body: { action: "destroy" } });

  const download = await stand.fetch(plainPaths.download(hypervisorId, done.path!), {
    headers: { authorization: `Bearer ${admin.token}`, range: "bytes=100-" },
  });
  assert.equal(download.status, 206);
  assert.deepEqual(new Uint8Array(await download.arrayBuffer()), bytes.slice(100));
});

Deno.test("what is not what it says it is leaves nothing behind", async () => {
  const before = await stand.imageFiles();
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  const wrongSum = await begin("noise.img", noise.length);
  await sendAll(wrongSum.id, noise);
  await assert.rejects(
    admin.call("finishUpload", { id: wrongSum.id, body: { sha256: "0".repeat(64) } }),
    (error: ApiError) => /checksum|SHA-256/i.test(error.message),
  );
  await admin.call("cancelUpload", { id: wrongSum.id });
  const wrongKind = await begin("noise.qcow2", noise.length);
  await sendAll(wrongKind.id, noise);
  await assert.rejects(
    admin.call("finishUpload", { id: wrongKind.id, body: { sha256: sha256(noise) } }),
    (error: ApiError) => /qcow2|raw/.test(error.message),
  );
  await admin.call("cancelUpload", { id: wrongKind.id });
  assert.deepEqual(await stand.imageFiles(), before);
  await assert.rejects(begin("../evil.iso", 10), (error: ApiError) => error.code === "invalid");
  await assert.rejects(begin("big.iso", 2 ** 50), (error: ApiError) => error.code === "conflict");
});

Deno.test("the storage report says what every file is, and only what nothing uses can go", async () => {
  const stray = `${stand.agentDir}/images/${stand.name("gone")}-00000000.qcow2`;
  const version = await vda(golden.initial.name);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", version, stray]);
  const report = await admin.call("getStorage", { id: hypervisorId });
  const kindOf = (path: string) => report.files.find((file) => file.path === path)?.kind;
  assert.equal(kindOf(version), "version");
  assert.equal(kindOf(await vda(golden.vdis[0]!.name)), "overlay");
  assert.equal(kindOf(await vda(golden.source.name)), "disk");
  assert.equal(kindOf(stray), "stray");
  const overlay = report.files.find(({ ownerId }) => ownerId === golden.vdis[0]!.id)!;
  assert.equal(overlay.removable, false);
  const { items } = await admin.call("deleteFiles", {
    id: hypervisorId,
    body: { paths: [stray, version, "/etc/passwd", `${stand.agentDir}/images/../agent.sock`].slice(0, 3) },
  });
  assert.deepEqual(items.map(({ deleted }) => deleted), [true, false, false]);
  await assert.rejects(Deno.stat(stray), Deno.errors.NotFound);
  await Deno.stat(version);
});

Deno.test("a disk grows, off and running; a vdi's does not", async () => {
  const { source, vdis: [vdi] } = golden;
  const bytes = 3 * 2 ** 30;
  await admin.done((await admin.call("resizeDisk", { id: source.id, body: { bytes } })).job);
  assert.equal((await imageInfo(await vda(source.name)))["virtual-size"], bytes);
  await admin.call("powerMachine", { id: source.id, body: { action: "start" } });
  await guestOf(source.name).ready();
  await admin.done((await admin.call("resizeDisk", { id: source.id, body: { bytes: bytes + 2 ** 20 } })).job);
  const sectors = Number((await guestOf(source.name).readFile("/sys/block/vda/size")).trim());
  assert.equal(sectors * 512, bytes + 2 ** 20, "the guest sees it");
  await admin.call("powerMachine", { id: source.id, body: { action: "destroy" } });
  await assert.rejects(
    admin.call("resizeDisk", { id: source.id, body: { bytes: 2 ** 20 } }),
    (error: ApiError) => /smaller|shrink/i.test(error.message),
  );
  await assert.rejects(
    admin.call("resizeDisk", { id: vdi!.id, body: { bytes } }),
    (error: ApiError) => /source/.test(error.message),
  );
});

Deno.test("a machine's data disk keeps its files over populate and virtual snapshot", async () => {
  const vdi = golden.vdis[0]!;
  const guest = guestOf(vdi.name);
  const { machine } = await admin.call("putDataDisk", { id: vdi.id, body: { bytes: 64 * 2 ** 20 } });
  assert.equal(machine.dataDisk?.scope, "machine");
  await admin.call("updateMachine", { id: vdi.id, body: { virtualSnapshot: true } });
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guest.ready();
  const write = "printf 'kept on vdb' | dd of=/dev/vdb bs=512 conv=sync,fsync 2>/dev/null && sync";
  assert.equal((await guest.exec(["/bin/sh", "-c", write])).exitCode, 0);
  await guest.writeFile("/data/note", "lost on vda");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
  await admin.inState(vdi.id, "shut-off");
  await admin.done((await admin.call("populate", { id: vdi.id })).job);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guest.ready();
  assert.match((await guest.exec(["/bin/dd", "if=/dev/vdb", "bs=512", "count=1"])).stdout, /^kept on vdb/);
  await assert.rejects(guest.readFile("/data/note"), /No such file/);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
  await admin.inState(vdi.id, "shut-off");
  await admin.call("updateMachine", { id: vdi.id, body: { virtualSnapshot: false } });
});

Deno.test("a user's data disk follows the user to another machine", async () => {
  const pool = await makePool(stand, "personal", golden.vdis.map(({ id }) => id), ["uma"]);
  const dataDisk = { scope: "user" as const, bytes: 64 * 2 ** 20 };
  await admin.call("updateDesktopPool", { id: pool.id, body: { policy: { dataDisk, afterUse: "reset" } } });
  const uma = await stand.signIn("uma", pool.password);
  // The first machine has a disk of its own; the second is free for hers.
  await admin.call("updateMachine", { id: golden.vdis[0]!.id, body: { maintenance: true } });
  const first = await stand.desktopReady(uma, pool.id);
  const guest = guestOf(first.machine!.name);
  await guest.ready();
  const device = /^(vd[b-z])/m.exec((await guest.exec(["/bin/ls", "/sys/block"])).stdout)![1];
  const write = `printf 'umas work' | dd of=/dev/${device} bs=512 conv=sync,fsync 2>/dev/null && sync`;
  assert.equal((await guest.exec(["/bin/sh", "-c", write])).exitCode, 0);
  await uma.call("endMyDesktop", { id: first.id });
  await eventually("her disk is free again", async () => {
    const { items } = await admin.call("listDataDisks", { query: {} });
    return items.some(({ scope, attachedTo }) => scope === "user" && attachedTo === null);
  }, { timeoutMs: 60_000 });
  const other = await admin.createAll({
    ...{ name: stand.name("more-{n}"), count: 1, role: "vdi", sourceId: golden.initial.id },
    populate: true,
  });
  await admin.call("putPoolMachines", { id: pool.id, body: { machineIds: other.map(({ id }) => id) } });
  const second = await stand.desktopReady(uma, pool.id);
  assert.notEqual(second.machine!.id, first.machine!.id);
  await guestOf(second.machine!.name).ready();
  const read = await guestOf(second.machine!.name).exec(["/bin/dd", "if=/dev/vdb", "bs=512", "count=1"]);
  assert.match(read.stdout, /^umas work/);
  await uma.call("endMyDesktop", { id: second.id });
});

Deno.test("a flattened vdi stands alone and boots without its image", async () => {
  const vdi = golden.vdis[1]!;
  await admin.inState(vdi.id, "shut-off");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guestOf(vdi.name).ready();
  await guestOf(vdi.name).writeFile("/data/mine", "flattened");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "shutdown" } });
  await admin.inState(vdi.id, "shut-off");
  await admin.done((await admin.call("flattenMachine", { id: vdi.id })).job, 120_000);
  const flat = await admin.machine(vdi.id);
  assert.equal(flat.role, "simple");
  assert.equal((await imageInfo(await vda(vdi.name)))["backing-filename"], undefined);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guestOf(vdi.name).ready();
  assert.equal(await guestOf(vdi.name).readFile("/data/mine"), "flattened");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
});

Deno.test("deleting an initial lists what goes with it, and takes all of it", async () => {
  await admin.inState(golden.vdis[1]!.id, "shut-off");
  const { plan } = await admin.call("planDeletion", { id: golden.initial.id });
  const clones = (await admin.call("listMachines", { query: { sourceId: golden.initial.id } })).items;
  assert.deepEqual(
    plan.machines.map(({ id }) => id).sort(),
    [golden.initial.id, ...clones.map(({ id }) => id)].sort(),
  );
  assert.deepEqual(plan.obstacles, []);
  assert.ok(plan.files.length > clones.length);
  await assert.rejects(
    admin.call("deleteMachine", { id: golden.initial.id }),
    (error: ApiError) => error.code === "conflict",
  );
  const { job } = await admin.call("deleteMachine", { id: golden.initial.id, query: { cascade: "true" } });
  await admin.done(job);
  for (const { path } of plan.files) await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  assert.ok(!(await virsh("list", "--all", "--name")).includes(golden.initial.name));
});
