import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentOperation, type Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { assertMayStart, disksOf, holdersOf, listImageFiles } from "../../agent/images/chain.ts";
import { readQcow2Header } from "../../agent/images/qcow2_header.ts";
import { copyDisk } from "../../agent/operations/copy_disk.ts";
import { createMachine } from "../../agent/operations/create_machine.ts";
import { deleteMachine } from "../../agent/operations/delete_machine.ts";
import { populate } from "../../agent/operations/populate.ts";
import { run } from "../../lib/process.ts";
import { fails } from "../support/fails.ts";
import { makeIso } from "../support/iso.ts";
import { RealHost, TestOperation } from "../support/real_host.ts";

const MiB = 2 ** 20;
const startHost = () => RealHost.start("t-img-");

/** A source with noise on its disk, an empty initial, and vdi machines. */
async function makeFamily(host: RealHost, { contentBytes = 4 * MiB, vdiCount = 2 } = {}) {
  const raw = await host.makeRawImage("os.raw", contentBytes, 2 * contentBytes);
  const source = await host.create(host.spec("source", { role: "source" }), { kind: "import", path: raw });
  const initial = await host.create(host.spec("initial", { role: "initial" }), { kind: "none" });
  const vdis: Domain[] = [];
  for (let n = 1; n <= vdiCount; n++) {
    vdis.push(await host.create(host.spec(`vdi${n}`, { role: "vdi" }), { kind: "none" }));
  }
  const copy = (op?: TestOperation) =>
    host.run({ kind: "copy-disk", fromId: source.id, toId: initial.id }, op);
  const populate = (op?: TestOperation, machineIds = vdis.map(({ id }) => id)) =>
    host.run({ kind: "populate", initialId: initial.id, basePath: null, machineIds }, op);
  return { source, initial, vdis, copy, populate };
}

Deno.test("create-machine makes a blank disk, a closed display and an unused MAC address", async () => {
  await using host = await startHost();
  const spec = host.spec("blank", { role: "source", network: "default" });
  const domain = await host.create(spec, { kind: "blank", bytes: 64 * MiB });
  assert.equal(domain.role, "source");
  assert.equal(domain.disks.find(({ device }) => device === "disk")?.virtualBytes, 64 * MiB);
  assert.match(domain.mac ?? "", /^52:54:00:/);
  assert.deepEqual(await host.imageFiles(), [`${spec.name}-${spec.id.slice(0, 8)}.qcow2`]);
  assert.match(
    await host.virsh.dumpXml(domain.id, { inactive: true, securityInfo: true }),
    /passwd='[^']+' passwdValidTo='1970-01-01T00:00:01'/,
  );
});

Deno.test("create-machine makes machines of each operating system that start", async () => {
  await using host = await startHost();
  for (const [osType, video] of [["linux", "qxl"], ["windows", "virtio"]] as const) {
    const spec = host.spec(osType, { osType, video, vcpus: 2 });
    await host.create(spec, { kind: "blank", bytes: 64 * MiB });
    await host.startRaw(spec.id);
    assert.equal(host.domain(spec.id).state, "running");
    assert.deepEqual(host.domain(spec.id).displays, ["spice"]);
  }
});

Deno.test("create-machine imports an image with progress and keeps it sparse", async () => {
  await using host = await startHost();
  const raw = await host.makeRawImage("import me.raw", 8 * MiB, 256 * MiB);
  const spec = host.spec("import");
  const op = await host.run({ kind: "create-machine", machine: spec, disk: { kind: "import", path: raw } });
  const image = host.diskPath(spec.id);
  assert.ok(await host.sameContents(raw, image));
  assert.ok((await Deno.stat(image)).blocks! * 512 < 16 * MiB);
  const { done, total, unit } = op.progress.at(-1)!;
  assert.deepEqual({ done, total, unit }, { done: 256 * MiB, total: 256 * MiB, unit: "bytes" });
});

Deno.test("create-machine leaves nothing behind when it is cancelled or fails", async () => {
  await using host = await startHost();
  const raw = await host.makeRawImage("big.raw", 192 * MiB);
  const spec = host.spec("cancelled");
  const op = new TestOperation(({ done }, op) => done && op.abort.abort(new AppError("cancelled", "stop")));
  await assert.rejects(
    host.run({ kind: "create-machine", machine: spec, disk: { kind: "import", path: raw } }, op),
    fails("cancelled"),
  );
  const wrong = host.spec("wrong", { network: "default", mac: "ff:ff:ff:ff:ff:ff" });
  await assert.rejects(
    host.run({ kind: "create-machine", machine: wrong, disk: { kind: "blank", bytes: MiB } }),
    fails("hypervisor_failed", "define the domain"),
  );
  assert.deepEqual(await host.imageFiles(), []);
  assert.equal(await host.domains.refresh(spec.id), null);
});

Deno.test("create-machine refuses a taken name, id or MAC address", async () => {
  await using host = await startHost();
  const first = host.spec("first", { network: "default" });
  const domain = await host.create(first, { kind: "none" });
  const create = (values: Partial<typeof first>) =>
    host.run({
      kind: "create-machine",
      machine: { ...host.spec("second"), ...values },
      disk: { kind: "none" },
    });
  await assert.rejects(create({ name: first.name }), fails("conflict", first.name, "already"));
  await assert.rejects(create({ id: first.id }), fails("conflict", first.id, "already"));
  await assert.rejects(create({ mac: domain.mac, network: "default" }), fails("conflict", first.name));
});

Deno.test("create-machine adopts a running domain with nothing but a note in its metadata", async () => {
  await using host = await startHost();
  const disk = join(host.dir, "foreign.qcow2");
  await run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "16M"]);
  const spec = host.spec("foreign", { role: "source", osType: "windows" });
  const xml =
    `<domain type='qemu'><name>${spec.name}</name><uuid>${spec.id}</uuid><memory unit='MiB'>64</memory>
    <os><type machine='pc'>hvm</type></os><devices><disk type='file'><driver name='qemu' type='qcow2'/>
    <source file='${disk}'/><target dev='hda' bus='ide'/></disk><graphics type='vnc' passwd='kept'/></devices></domain>`;
  await host.defineForeign(spec.id, xml);
  await host.startRaw(spec.id);
  const before = await host.virsh.dumpXml(spec.id, { inactive: true, securityInfo: true });
  await host.run({ kind: "create-machine", machine: spec, disk: { kind: "domain" } });
  const after = await host.virsh.dumpXml(spec.id, { inactive: true, securityInfo: true });
  assert.equal(after.replace(/\s*<metadata>.*<\/metadata>/s, ""), before);
  const { managed, role, osType, state } = host.domain(spec.id);
  assert.deepEqual({ managed, role, osType, state }, {
    managed: true,
    role: "source",
    osType: "windows",
    state: "running",
  });
  await host.destroyRaw(spec.id);
  await host.run({ kind: "delete-machine", machineId: spec.id, keepDisks: false });
  assert.ok(await Deno.stat(disk), "the disk of an adopted domain is never removed");
});

Deno.test("create-machine refuses images that reach for other files of the host", async () => {
  await using host = await startHost();
  const secret = join(host.dir, "secret.raw");
  await Deno.writeTextFile(secret, "s".repeat(2 * MiB));
  const path = (name: string) => join(host.dir, name);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, path("backed.qcow2")]);
  await run([
    "qemu-img",
    "create",
    "-q",
    "-f",
    "qcow2",
    "-o",
    `data_file=${path("x.data")}`,
    path("data.qcow2"),
    "4M",
  ]);
  await Deno.mkdir(path("upload"));
  await Deno.writeTextFile(
    path("upload/evil.vmdk"),
    `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n` +
      `RW 4096 FLAT "${secret}" 0\nddb.adapterType = "ide"\n`,
  );
  await Deno.writeTextFile(path("passwd"), "root:x:0:0\n");
  const importing = (image: string) =>
    host.run({ kind: "create-machine", machine: host.spec("evil"), disk: { kind: "import", path: image } });
  await assert.rejects(importing(path("backed.qcow2")), fails("invalid", secret));
  await assert.rejects(importing(path("data.qcow2")), fails("invalid", "in another file"));
  await assert.rejects(importing(path("upload/evil.vmdk")), fails("invalid", secret));
  await assert.rejects(importing(path("passwd")), fails("invalid", "not a disk image"));
  await assert.rejects(importing(path("nothing")), fails("not_found", "no such file"));
  await assert.rejects(importing("/dev/null"), fails("invalid", "not a file"));
  assert.deepEqual(await host.imageFiles(), []);
});

Deno.test("copy-disk gives the initial the source's contents as a new version", async () => {
  await using host = await startHost();
  const { source, initial, copy } = await makeFamily(host);
  const op = await copy();
  const first = host.diskPath(initial.id);
  assert.match(first, /\.v1\.qcow2$/);
  assert.ok(await host.sameContents(host.diskPath(source.id), first));
  assert.equal((await readQcow2Header(first))?.backingName, null);
  const { done, total, unit } = op.progress.at(-1)!;
  assert.deepEqual({ done, total, unit }, { done: 8 * MiB, total: 8 * MiB, unit: "bytes" });
  await copy();
  assert.match(host.diskPath(initial.id), /\.v2\.qcow2$/);
});

Deno.test("copy-disk writes the version it was told to, keeps all others and tells what it made", async () => {
  await using host = await startHost();
  const { source, initial, copy, populate } = await makeFamily(host);
  await copy();
  await populate();
  const op = await copy();
  const copyTo = (version: number) =>
    host.run({ kind: "copy-disk", fromId: source.id, toId: initial.id, version });
  assert.equal(op.result?.path, host.diskPath(initial.id));
  assert.partialDeepStrictEqual(op.result, {
    version: 2,
    format: "qcow2",
    virtualBytes: 8 * MiB,
    sha256: null,
  });
  assert.equal((await copyTo(7)).result?.version, 7);
  await assert.rejects(copyTo(2), fails("conflict", ".v2.qcow2", "exists"));
  await populate();
  const versions = (await host.imageFiles()).filter((name) => name.includes(initial.id.slice(0, 8)))
    .map((name) => /\.v\d+/.exec(name)?.[0]);
  assert.deepEqual(versions, [".v1", ".v2", ".v7"]);
});

Deno.test("copy-disk refuses a running source and names it", async () => {
  await using host = await startHost();
  const { source, initial, copy } = await makeFamily(host, { vdiCount: 0 });
  await host.startRaw(source.id);
  await assert.rejects(copy(), fails("conflict", source.name, "running"));
  await host.destroyRaw(source.id);
  await copy();
  await host.startRaw(initial.id);
  await assert.rejects(copy(), fails("conflict", initial.name, "running"));
});

Deno.test("copy-disk refuses a source whose image a foreign domain or a bare QEMU writes to", async () => {
  await using host = await startHost();
  const { source, initial, copy } = await makeFamily(host, { vdiCount: 0 });
  const foreign = host.spec("foreign");
  await host.defineForeign(
    foreign.id,
    `<domain type='qemu'><name>${foreign.name}</name><uuid>${foreign.id}</uuid><memory unit='MiB'>64</memory>
      <os><type>hvm</type></os><devices><disk type='file'><driver name='qemu' type='qcow2'/>
      <source file='${host.diskPath(source.id)}'/><target dev='vda'/></disk></devices></domain>`,
  );
  await host.startRaw(foreign.id);
  await assert.rejects(copy(), fails("conflict", foreign.name, "running on"));
  await assert.rejects(
    assertMayStart(host, source.id, { virtualSnapshot: false }),
    fails("conflict", foreign.name),
  );
  await host.destroyRaw(foreign.id);

  {
    await using qemu = await host.holdForWriting(host.diskPath(source.id));
    await assert.rejects(copy(), fails("conflict", "being written to by", `process ${qemu.pid}`));
  }
  await copy();
  assert.match(host.diskPath(initial.id), /\.v1\.qcow2$/);
  await Deno.remove(host.diskPath(source.id));
  await assert.rejects(copy(), fails("conflict", host.diskPath(source.id), "missing"));
});

Deno.test("copy-disk leaves the old image and no stray file when it is cancelled half way", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate } = await makeFamily(host, { contentBytes: 192 * MiB, vdiCount: 1 });
  await copy();
  await populate();
  const [image, files] = [host.diskPath(initial.id), await host.imageFiles()];
  const checksum = await host.checksum(image);
  const definition = await host.virsh.dumpXml(initial.id, { inactive: true });
  let half = 0;
  const op = new TestOperation(({ done = 0, total = 0 }, op) => {
    if (done < total * 0.2 || done === total) return;
    half = done / total;
    op.abort.abort(new AppError("cancelled", "The job was cancelled."));
  });
  await assert.rejects(copy(op), fails("cancelled"));
  assert.ok(half > 0 && half < 1, "it was cancelled half way");
  assert.equal(await host.checksum(image), checksum);
  assert.deepEqual(await host.imageFiles(), files);
  assert.equal(await host.virsh.dumpXml(initial.id, { inactive: true }), definition);
  await assertMayStart(host, vdis[0]!.id, { virtualSnapshot: false });
});

Deno.test("copy-disk's recover removes what a killed agent left, and only that", async () => {
  await using host = await startHost();
  const { source, initial, copy } = await makeFamily(host, { vdiCount: 0 });
  await copy();
  const image = host.diskPath(initial.id);
  const version = (number: number) => image.replace(".v1.", `.v${number}.`);
  await Deno.copyFile(image, version(2));
  const files = await host.imageFiles();
  await Deno.writeTextFile(version(4), "whole, but the initial was not switched to it");
  await Deno.writeTextFile(`${version(5)}.partial`, "half");
  const job = { kind: "copy-disk", fromId: source.id, toId: initial.id } as const;
  await copyDisk.recover(host, { ...job, version: 4 });
  assert.deepEqual(await host.imageFiles(), files, "an unused version 2 is a way back");
  await copyDisk.recover(host, { ...job, version: 1 });
  await copyDisk.recover(host, job);
  assert.deepEqual(await host.imageFiles(), files, "the initial was switched to version 1 in time");
});

Deno.test("populate gives each vdi an empty overlay on the initial's image, again and again", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate } = await makeFamily(host);
  await assert.rejects(populate(), fails("conflict", initial.name, "no image yet"));
  await copy();
  const op = await populate();
  assert.deepEqual(
    op.lastItems.map(({ ok, message }) => ({ ok, message })),
    vdis.map(() => ({ ok: true, message: null })),
  );
  assert.deepEqual(op.progress.at(-1), { stage: "Populating", done: 2, total: 2, unit: "items" });
  const [vdi] = vdis;
  const overlay = host.diskPath(vdi!.id);
  assert.equal(host.domain(vdi!.id).disks[0]?.backingPath, host.diskPath(initial.id));
  await run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", overlay]);
  assert.ok(!await host.sameContents(overlay, host.diskPath(initial.id)));
  await populate();
  assert.ok(await host.sameContents(overlay, host.diskPath(initial.id)), "what was written is gone");
  await host.startRaw(vdi!.id);
  assert.deepEqual((await disksOf(host, vdi!.id))[0]?.chain.map(({ path, kind }) => ({ path, kind })), [
    { path: overlay, kind: "overlay" },
    { path: host.diskPath(initial.id), kind: "image" },
  ]);
  assert.deepEqual((await host.imageFiles()).filter((name) => name.endsWith(".partial")), []);
});

Deno.test("populate refuses a running initial and one that another process writes to", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate } = await makeFamily(host);
  await copy();
  await host.startRaw(initial.id);
  await assert.rejects(populate(), fails("conflict", initial.name, "running"));
  await host.destroyRaw(initial.id);
  {
    await using _qemu = await host.holdForWriting(host.diskPath(initial.id));
    await assert.rejects(populate(), fails("conflict", initial.name, "being written to"));
  }
  assert.ok((await host.imageFiles()).every((name) => !name.includes(vdis[0]!.id.slice(0, 8))));
});

Deno.test("populate tells of each machine what happened, and fails when one failed", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate } = await makeFamily(host, { vdiCount: 3 });
  await copy();
  await populate();
  const simple = await host.create(host.spec("simple"), { kind: "none" });
  const [running, locked, idle] = vdis;
  await host.startRaw(running!.id);
  await run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", host.diskPath(idle!.id)]);
  using _lock = await host.locks.hold([locked!.id], { purpose: "it is being copied", by: "job" });
  const gone = crypto.randomUUID();
  const op = new TestOperation();
  await assert.rejects(
    populate(op, [running!.id, locked!.id, idle!.id, simple.id, gone]),
    fails("conflict", "4 of 5", running!.name, locked!.name, simple.name, gone),
  );
  const messages = new Map(op.lastItems.map(({ id, message }) => [id, message]));
  assert.match(messages.get(running!.id) ?? "", /running/);
  assert.match(messages.get(locked!.id) ?? "", /busy: it is being copied/);
  assert.match(messages.get(simple.id) ?? "", /not a vdi/);
  assert.match(messages.get(gone) ?? "", /no such domain/);
  assert.equal(messages.get(idle!.id), null);
  assert.ok(
    await host.sameContents(host.diskPath(idle!.id), host.diskPath(initial.id)),
    "the idle one was populated",
  );
});

Deno.test("populate reports a failure when qemu-img created nothing", async () => {
  await using host = await startHost();
  const { vdis, copy, populate } = await makeFamily(host);
  await copy();
  // A directory where the overlay has to go.
  await Deno.mkdir(`${host.diskPath(vdis[0]!.id)}.partial`);
  const op = new TestOperation();
  await assert.rejects(populate(op), fails("hypervisor_failed", "1 of 2", vdis[0]!.name));
  assert.deepEqual(op.lastItems.map(({ ok }) => ok).sort(), [false, true]);
  await assert.rejects(
    assertMayStart(host, vdis[0]!.id, { virtualSnapshot: false }),
    fails("conflict", "not populated"),
  );
});

Deno.test("populate refuses a machine that is suspended to disk", async () => {
  await using host = await startHost();
  const { vdis, copy, populate } = await makeFamily(host, { vdiCount: 1 });
  await copy();
  await populate();
  await host.startRaw(vdis[0]!.id);
  await run(["virsh", "-q", "-c", host.config.libvirtUri, "managedsave", vdis[0]!.id]);
  await host.domains.refresh(vdis[0]!.id);
  const op = new TestOperation();
  await assert.rejects(populate(op), fails("conflict", vdis[0]!.name));
  assert.match(op.lastItems[0]?.message ?? "", /suspended to disk|in use/);
});

Deno.test("assertMayStart() keeps images that clones are based on from being written to", async () => {
  await using host = await startHost();
  const { source, initial, vdis, copy, populate } = await makeFamily(host, { vdiCount: 1 });
  const [vdi] = vdis;
  const start = (id: string, virtualSnapshot = false) => assertMayStart(host, id, { virtualSnapshot });
  await assert.rejects(start(vdi!.id), fails("conflict", vdi!.name, "not populated"));
  await copy();
  await start(initial.id);
  await populate();
  await start(source.id);
  await start(vdi!.id);
  await start(initial.id, true);
  await assert.rejects(start(initial.id), fails("conflict", initial.name, vdi!.name, "virtual snapshot"));
  assert.deepEqual((await holdersOf(host, host.diskPath(initial.id))).map(({ name, as }) => ({ name, as })), [
    { name: initial.name, as: "disk" },
    { name: vdi!.name, as: "backing" },
  ]);
  await copy();
  await start(initial.id);
  const base = host.domain(vdi!.id).disks[0]!.backingPath!;
  await Deno.rename(base, `${base}.away`);
  await assert.rejects(start(vdi!.id), fails("conflict", base, "missing"));
});

Deno.test("delete-machine refuses an initial with clones, and a running machine", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate } = await makeFamily(host, { vdiCount: 1 });
  await copy();
  await populate();
  const remove = (machineId: string) => host.run({ kind: "delete-machine", machineId, keepDisks: false });
  await assert.rejects(remove(initial.id), fails("conflict", initial.name, vdis[0]!.name));
  await copy();
  await assert.rejects(remove(initial.id), fails("conflict", vdis[0]!.name), "an old version has clones too");
  await host.startRaw(vdis[0]!.id);
  await assert.rejects(remove(vdis[0]!.id), fails("conflict", vdis[0]!.name, "running"));
  await host.destroyRaw(vdis[0]!.id);
  await remove(vdis[0]!.id);
  await remove(initial.id);
  assert.equal(await host.domains.refresh(initial.id), null);
  assert.ok((await host.imageFiles()).every((name) => name.includes("source")), "all its versions are gone");
});

Deno.test("delete-machine removes its own files and keeps ISO images, shared and foreign files", async () => {
  await using host = await startHost();
  const iso = join(host.config.isoDir, "os.iso");
  await Deno.writeFile(iso, makeIso());
  const spec = host.spec("deleted", { iso });
  await host.create(spec, { kind: "blank", bytes: MiB });
  for (const notIso of ["/etc/passwd", "/nowhere.iso", host.diskPath(spec.id)]) {
    await assert.rejects(
      host.create(host.spec("x", { iso: notIso }), { kind: "none" }),
      fails("invalid", notIso),
    );
  }
  const sharedSpec = host.spec("shared");
  await host.create(sharedSpec, { kind: "blank", bytes: MiB });
  const shared = host.diskPath(sharedSpec.id);
  const user = host.spec("user");
  await host.defineForeign(
    user.id,
    `<domain type='qemu'><name>${user.name}</name><uuid>${user.id}</uuid><memory unit='MiB'>64</memory>
      <os><type>hvm</type></os><devices><disk type='file'><driver name='qemu' type='qcow2'/>
      <source file='${shared}'/><target dev='vda'/></disk></devices></domain>`,
  );
  await assert.rejects(
    host.run({ kind: "delete-machine", machineId: user.id, keepDisks: false }),
    fails("conflict", "does not manage"),
  );
  for (const machineId of [spec.id, sharedSpec.id]) {
    await host.run({ kind: "delete-machine", machineId, keepDisks: false });
  }
  assert.deepEqual(await host.imageFiles(), [shared.split("/").at(-1)]);
  assert.ok(await Deno.stat(iso));
  const kept = host.spec("kept");
  await host.create(kept, { kind: "blank", bytes: MiB });
  const keptDisk = host.diskPath(kept.id);
  await host.run({ kind: "delete-machine", machineId: kept.id, keepDisks: true });
  assert.ok(await Deno.stat(keptDisk));
});

Deno.test("recover() of each operation removes what is half made and nothing else", async () => {
  await using host = await startHost();
  const { initial, vdis, copy, populate: populateAll } = await makeFamily(host, { vdiCount: 1 });
  await copy();
  await populateAll();
  const [vdi] = vdis;
  const files = await host.imageFiles();
  await Deno.writeTextFile(`${host.diskPath(vdi!.id)}.partial`, "half an overlay");
  await populate.recover(host, {
    kind: "populate",
    initialId: initial.id,
    basePath: null,
    machineIds: [vdi!.id],
  });
  assert.deepEqual(await host.imageFiles(), files);

  const blank = { kind: "blank", bytes: MiB } as const;
  const unborn = host.spec("unborn");
  for (const suffix of ["", ".partial"]) {
    const name = `${unborn.name}-${unborn.id.slice(0, 8)}.qcow2${suffix}`;
    await Deno.writeTextFile(join(host.config.imageDir, name), "no domain was defined for it");
  }
  await createMachine.recover(host, { kind: "create-machine", machine: unborn, disk: blank });
  assert.deepEqual(await host.imageFiles(), files);
  const born = host.spec("born");
  await host.create(born, blank);
  await createMachine.recover(host, { kind: "create-machine", machine: born, disk: blank });
  assert.ok(await Deno.stat(host.diskPath(born.id)));

  await deleteMachine.recover(host, { kind: "delete-machine", machineId: born.id, keepDisks: false });
  assert.ok(await Deno.stat(host.diskPath(born.id)), "its domain is still there");
  await host.virsh.undefine(born.id);
  await deleteMachine.recover(host, { kind: "delete-machine", machineId: born.id, keepDisks: false });
  assert.deepEqual(await host.imageFiles(), files);
});

Deno.test("the contract refuses names that a shell, an option parser or a path could misread", () => {
  const base = { kind: "create-machine", disk: { kind: "none" } } as const;
  const machine = {
    ...{ id: crypto.randomUUID(), role: "vdi", osType: "linux", vcpus: 1, memoryMiB: 64 },
    ...{ mac: null, network: "none", video: "qxl", iso: null },
  };
  assert.ok(AgentOperation.safeParse({ ...base, machine: { ...machine, name: "desk-1" } }).success);
  for (
    const name of ["$(touch x)", "a;b", "a b", "a'b", 'a"b', "../x", "a/b", "-o", ".x", "a\nb", "", "a&b"]
  ) {
    assert.ok(!AgentOperation.safeParse({ ...base, machine: { ...machine, name } }).success, name);
  }
  for (const path of ["relative", "/a/../b", "/a\nb", "json:{}"]) {
    const disk = { kind: "import", path };
    assert.ok(!AgentOperation.safeParse({ ...base, machine: { ...machine, name: "x" }, disk }).success, path);
  }
});

Deno.test("hostile file names reach QEMU and libvirt as names and nothing else", async () => {
  await using host = await startHost();
  const witness = join(host.dir, "touched");
  for (
    const name of [
      `$(touch ${witness.replaceAll("/", "\u2215")})`,
      "a;b",
      `it's "quoted" <&> ,file=x`,
      "-o x",
    ]
  ) {
    const image = await host.makeRawImage(`${name}.raw`, MiB);
    const machine = await host.create(host.spec("hostile"), { kind: "import", path: image });
    assert.ok(await host.sameContents(`file:${image}`, host.diskPath(machine.id)), name);
  }
  const odd = host.spec("odd");
  const oddDisk = join(host.config.imageDir, `o'dd "<&>" $(x);y, z.qcow2`);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", oddDisk, "4M"]);
  const { buildDomainXml, readDomain } = await import("../../agent/libvirt/domain_xml.ts");
  await host.defineForeign(odd.id, buildDomainXml(odd, oddDisk, host.facts()));
  assert.equal(readDomain(await host.virsh.dumpXml(odd.id)).disks[0]?.path, oddDisk);
  await host.startRaw(odd.id);
  assert.equal(host.domain(odd.id).state, "running");
});

Deno.test("listImageFiles() offers ISO images and whole disk images", async () => {
  await using host = await startHost();
  const { copy, populate } = await makeFamily(host, { vdiCount: 1 });
  await copy();
  await populate();
  await Deno.writeTextFile(join(host.config.imageDir, "half.qcow2.partial"), "half");
  await Deno.writeTextFile(join(host.config.isoDir, "readme.txt"), "no image");
  await Deno.writeFile(join(host.config.isoDir, "debian.iso"), makeIso());
  const files = await listImageFiles(host);
  assert.deepEqual(
    files.map(({ name, kind, format }) => `${kind} ${format} ${name.replace(/-[0-9a-f-]+/g, "")}`),
    [
      "iso raw debian.iso",
      "disk qcow2 timg-initial.v1.qcow2",
      "disk qcow2 timg-source.qcow2",
    ].map((line) => line.replace("timg", "t-img")),
  );
});
