import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import { deleteFiles } from "../../agent/storage/delete_files.ts";
import { openFile } from "../../agent/storage/read_file.ts";
import { reportStorage } from "../../agent/storage/report.ts";
import { setDataDisk } from "../../agent/operations/data_disk.ts";
import { startMachine } from "../../agent/operations/start_machine.ts";
import { Uploads } from "../../agent/uploads/uploads.ts";
import { run } from "../../lib/process.ts";
import { eventually } from "../support/eventually.ts";
import { guestOf } from "../support/guest.ts";
import { makeIso } from "../support/iso.ts";
import { RealHost, TestOperation } from "../support/real_host.ts";

const MiB = 2 ** 20;
const startHost = () => RealHost.start("t-fil-");

const fails = (code: string, ...told: string[]) => (error: unknown) => {
  assert.ok(error instanceof AppError, `not an AppError: ${error}`);
  assert.equal(error.code, code, error.message);
  for (const part of told) assert.ok(error.message.includes(part), `'${part}' is not in '${error.message}'`);
  return true;
};

const dataDisk = { diskId: crypto.randomUUID(), name: "anna" };

/** A source with noise, an initial with its copy, and a vdi on that. */
async function makeFamily(host: RealHost) {
  const raw = await host.makeRawImage("os.raw", 2 * MiB, 8 * MiB);
  const source = await host.create(host.spec("source", { role: "source" }), { kind: "import", path: raw });
  const initial = await host.create(host.spec("initial", { role: "initial" }), { kind: "none" });
  const vdi = await host.create(host.spec("vdi", { role: "vdi" }), { kind: "none" });
  await host.run({ kind: "copy-disk", fromId: source.id, toId: initial.id });
  await host.run({ kind: "populate", initialId: initial.id, basePath: null, machineIds: [vdi.id] });
  return { source, initial, vdi };
}

const makeDataDisk = async (host: RealHost, bytes = 32 * MiB, values = dataDisk) =>
  (await host.run({ kind: "create-data-disk", ...values, bytes })).result!;

Deno.test("reportStorage() tells versions, overlays, disks, data disks, ISO images, partial and stray files apart", async () => {
  await using host = await startHost();
  const { source, initial, vdi } = await makeFamily(host);
  const data = await makeDataDisk(host);
  const { imageDir, isoDir, scratchDir } = host.config;
  await Deno.writeFile(join(isoDir, "setup.iso"), makeIso());
  const version = host.diskPath(initial.id);
  const strayOverlay = join(imageDir, "gone-12345678.qcow2");
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", version, strayOverlay]);
  await Deno.writeTextFile(join(imageDir, "gone-12345678.v4.qcow2.partial"), "half");
  await run(["qemu-img", "create", "-q", "-f", "qcow2", join(imageDir, "gone-12345678.v3.qcow2"), "1M"]);
  await host.makeRawImage("images/windows.raw", MiB);
  await Deno.writeTextFile(join(scratchDir, `${crypto.randomUUID()}.scratch.qcow2`), "old");
  const files = await reportStorage(host);
  const kinds = Object.fromEntries(files.map(({ path, kind }) => [path.slice(host.dir.length + 1), kind]));
  const short = (path: string) => path.slice(host.dir.length + 1);
  assert.deepEqual(kinds, {
    [short(version)]: "version",
    [short(host.diskPath(vdi.id))]: "overlay",
    [short(host.diskPath(source.id))]: "disk",
    [short(data.path)]: "data",
    "iso/setup.iso": "iso",
    [short(strayOverlay)]: "stray",
    "images/gone-12345678.v4.qcow2.partial": "partial",
    "images/gone-12345678.v3.qcow2": "stray",
    "images/windows.raw": "import",
    [short(files.find(({ kind }) => kind === "scratch")!.path)]: "scratch",
  });
  const told = (path: string) => files.find((file) => file.path === path)!;
  assert.equal(told(version).version, 1);
  assert.deepEqual(new Set(told(version).domainIds), new Set([initial.id, vdi.id]));
  assert.equal(told(host.diskPath(vdi.id)).backingPath, version);
  assert.equal(told(version).inUse, true);
  assert.equal(told(strayOverlay).inUse, false);
  assert.equal(told(data.path).virtualBytes, 32 * MiB);
});

Deno.test("a file that a job works on is in use", async () => {
  await using host = await startHost();
  const partial = join(host.config.imageDir, "half-12345678.qcow2.partial");
  await Deno.writeTextFile(partial, "half");
  const id = `12345678-${crypto.randomUUID().slice(9)}`;
  {
    using _lock = await host.locks.hold([id], { purpose: "it is being copied", by: "job" });
    assert.equal((await reportStorage(host))[0]?.inUse, true);
    const { items } = await deleteFiles(host, [partial]);
    assert.deepEqual(items.map(({ deleted }) => deleted), [false]);
  }
  assert.equal((await reportStorage(host))[0]?.inUse, false);
  assert.deepEqual(await deleteFiles(host, [partial]), {
    items: [{ path: partial, deleted: true, message: null }],
  });
});

Deno.test("deleteFiles() deletes what nothing uses, overlays before their base, and nothing else", async () => {
  await using host = await startHost();
  const { initial, vdi } = await makeFamily(host);
  const { imageDir, isoDir } = host.config;
  const base = join(imageDir, "gone-12345678.v1.qcow2");
  const overlay = join(imageDir, "gone-87654321.qcow2");
  await run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"]);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay]);
  const outside = await host.makeRawImage("outside.raw", 65536);
  const link = join(imageDir, "link.raw");
  await Deno.symlink(outside, link);
  await Deno.symlink(host.dir, join(isoDir, "up"));
  const paths = [
    base,
    overlay,
    link,
    host.diskPath(initial.id),
    host.diskPath(vdi.id),
    outside,
    join(isoDir, "up", "outside.raw"),
    join(imageDir, "missing.raw"),
  ];
  const { items } = await deleteFiles(host, paths);
  assert.deepEqual(items.map(({ path }) => path), paths);
  assert.deepEqual(items.map(({ deleted }) => deleted), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
  assert.match(items[3]!.message!, new RegExp(`initial.* uses it`));
  assert.match(items[5]!.message!, /not in one of the agent's directories/);
  assert.match(items[6]!.message!, /not in one of the agent's directories/);
  assert.ok(await Deno.stat(outside));
});

Deno.test("openFile() sends files of the agent's directories from an offset on, and no others", async () => {
  await using host = await startHost();
  const { isoDir } = host.config;
  await Deno.writeTextFile(join(isoDir, "a.iso"), "0123456789");
  const { totalBytes, body } = await openFile(host, join(isoDir, "a.iso"), 4);
  assert.equal(totalBytes, 10);
  assert.equal(await new Response(body).text(), "456789");
  await Deno.symlink("/etc/passwd", join(isoDir, "passwd.iso"));
  await assert.rejects(openFile(host, join(isoDir, "passwd.iso"), 0), fails("invalid", "not in one of"));
  await assert.rejects(openFile(host, "/etc/passwd", 0), fails("invalid", "not in one of"));
  await assert.rejects(openFile(host, join(isoDir, "b.iso"), 0), fails("not_found"));
});

const pieces = async function* (...bytes: Uint8Array[]) {
  yield* bytes;
};
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("an upload goes on after a restart of the agent, at the right offset, and is checked as a whole", async () => {
  await using host = await startHost();
  const id = crypto.randomUUID();
  const iso = makeIso();
  const wanted = { fileName: "setup.iso", bytes: iso.length, reserveBytes: 0 };
  const before = new Uploads(host);
  await before.load();
  assert.deepEqual(await before.begin(id, wanted), { receivedBytes: 0, bytes: iso.length });
  assert.equal(
    (await before.write(id, 0, pieces(iso.slice(0, 100), iso.slice(100, 4096)))).receivedBytes,
    4096,
  );
  await assert.rejects(before.write(id, 0, pieces(iso)), fails("conflict", "4096"));
  await assert.rejects(before.finish(id, sha256(iso)), fails("conflict", "4096 of"));
  assert.deepEqual((await reportStorage(host)).map(({ kind, inUse }) => [kind, inUse]), [["partial", true]]);

  const after = new Uploads(host);
  await after.load();
  assert.equal((await after.begin(id, wanted)).receivedBytes, 4096);
  await after.write(id, 4096, pieces(iso.slice(4096)));
  await assert.rejects(after.write(id, iso.length, pieces(new Uint8Array(1))), fails("invalid", "longer"));
  const finished = await after.finish(id, sha256(iso));
  assert.deepEqual(finished, {
    path: join(host.config.isoDir, "setup.iso"),
    format: "iso",
    virtualBytes: iso.length,
  });
  assert.deepEqual(await after.finish(id, sha256(iso)), finished);
  assert.deepEqual(await Deno.readFile(finished.path), iso);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(host.config.isoDir))).map(({ name }) => name), [
    "setup.iso",
  ]);
  await assert.rejects(after.begin(crypto.randomUUID(), wanted), fails("conflict", "of that name"));
});

/** Uploads a file in one piece. */
async function upload(host: RealHost, fileName: string, bytes: Uint8Array, hash = sha256(bytes)) {
  const uploads = new Uploads(host);
  await uploads.load();
  const id = crypto.randomUUID();
  await uploads.begin(id, { fileName, bytes: bytes.length, reserveBytes: 0 });
  await uploads.write(id, 0, pieces(bytes));
  return await uploads.finish(id, hash);
}

Deno.test("an upload that is not what it should be is refused and leaves nothing", async () => {
  await using host = await startHost();
  const make = async (name: string, ...args: string[]) => {
    await run(["qemu-img", "create", "-q", ...args], { cwd: host.dir });
    return await Deno.readFile(join(host.dir, name));
  };
  const plain = await make("plain.qcow2", "-f", "qcow2", "plain.qcow2", "1M");
  const based = await make("b.qcow2", "-f", "qcow2", "-F", "qcow2", "-b", "plain.qcow2", "b.qcow2");
  const external = await make("e.qcow2", "-f", "qcow2", "-o", "data_file=e.raw", "e.qcow2", "1M");
  const encrypted = await make(
    "c.qcow2",
    ...["-f", "qcow2", "--object", "secret,id=s,data=abc", "-o", "encrypt.format=luks,encrypt.key-secret=s"],
    ...["c.qcow2", "1M"],
  );
  await assert.rejects(upload(host, "x.qcow2", plain, "0".repeat(64)), fails("invalid", "SHA-256"));
  await assert.rejects(upload(host, "x.qcow2", based), fails("invalid", "based on another file"));
  await assert.rejects(upload(host, "x.qcow2", external), fails("invalid", "in another file"));
  await assert.rejects(upload(host, "x.qcow2", encrypted), fails("invalid", "encrypted"));
  await assert.rejects(upload(host, "x.iso", plain), fails("invalid", "qcow2", "ends in .qcow2"));
  await assert.rejects(upload(host, "x.qcow2", makeIso()), fails("invalid", "an ISO image", ".iso"));
  await assert.rejects(upload(host, "x.raw", new Uint8Array(100)), fails("invalid", "not a disk image"));
  assert.deepEqual(await reportStorage(host), []);
  const { path, format, virtualBytes } = await upload(host, "x.qcow2", plain);
  assert.deepEqual([path, format, virtualBytes], [join(host.config.imageDir, "x.qcow2"), "qcow2", MiB]);
});

Deno.test("cancelled and abandoned uploads leave nothing", async () => {
  await using host = await startHost();
  const uploads = new Uploads(host);
  await uploads.load();
  const [a, b] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const [id, fileName] of [[a, "a.iso"], [b, "b.iso"]] as const) {
    await uploads.begin(id, { fileName, bytes: 4096, reserveBytes: 0 });
  }
  await uploads.cancel(a);
  await uploads.cancel(a);
  await uploads.sweep();
  assert.equal((await reportStorage(host)).length, 1);
  await uploads.sweep(Date.now() + 8 * 24 * 3600_000);
  assert.deepEqual(await reportStorage(host), []);
  await assert.rejects(uploads.get(b), fails("not_found"));
  await assert.rejects(
    uploads.begin(a, { fileName: "a.iso", bytes: 4096, reserveBytes: 2 ** 52 }),
    fails("conflict", "in reserve"),
  );
});

Deno.test("flatten makes a vdi a simple machine on one image of its own", async () => {
  await using host = await startHost();
  const { initial, vdi } = await makeFamily(host);
  const overlay = host.diskPath(vdi.id);
  await run(["qemu-io", "-c", "write -P 7 0 65536", overlay]);
  const expected = join(host.dir, "expected.qcow2");
  await run(["qemu-img", "convert", "-O", "qcow2", overlay, expected]);
  const op = await host.run({ kind: "flatten", machineId: vdi.id });
  const { role, disks } = host.domain(vdi.id);
  assert.equal(role, "simple");
  const disk = disks.find(({ device }) => device === "disk")!;
  assert.equal(disk.path, op.result?.path);
  assert.equal(disk.backingPath, null);
  assert.ok(await host.sameContents(disk.path!, expected));
  await assert.rejects(Deno.stat(overlay), Deno.errors.NotFound);
  assert.equal((await host.imageFiles()).length, 3);
  await host.run({ kind: "delete-machine", machineId: vdi.id, keepDisks: false });
  await host.run({ kind: "delete-machine", machineId: initial.id, keepDisks: false });
});

Deno.test("flatten that is cancelled leaves the vdi on its overlay", async () => {
  await using host = await startHost();
  const { vdi } = await makeFamily(host);
  const before = await host.imageFiles();
  const overlay = host.diskPath(vdi.id);
  const op = new TestOperation((progress, op) => {
    if (progress.stage?.startsWith("Copying")) op.abort.abort(new AppError("cancelled", "cancelled"));
  });
  await assert.rejects(host.run({ kind: "flatten", machineId: vdi.id }, op), fails("cancelled"));
  assert.deepEqual(await host.imageFiles(), before);
  assert.equal(host.domain(vdi.id).role, "vdi");
  assert.equal(host.diskPath(vdi.id), overlay);
});

Deno.test("resize-disk grows a disk, never shrinks one, and refuses a vdi and an image in use", async () => {
  await using host = await startHost();
  const { source, initial, vdi } = await makeFamily(host);
  const resize = (machineId: string, bytes: number) => host.run({ kind: "resize-disk", machineId, bytes });
  await resize(source.id, 16 * MiB);
  assert.equal(host.domain(source.id).disks[0]?.virtualBytes, 16 * MiB);
  await assert.rejects(resize(source.id, MiB), fails("invalid", "never shrinks"));
  await assert.rejects(resize(vdi.id, 64 * MiB), fails("invalid", "Resize the source and publish"));
  await assert.rejects(resize(initial.id, 64 * MiB), fails("conflict", "vdi", "Resize the source"));
  await host.startRaw(source.id);
  await resize(source.id, 24 * MiB);
  assert.equal(host.domain(source.id).disks[0]?.virtualBytes, 24 * MiB);
});

Deno.test("a data disk is made, grown, and attached to one machine at a time", async () => {
  await using host = await startHost();
  const { vdi } = await makeFamily(host);
  const other = await host.create(host.spec("other"), { kind: "blank", bytes: MiB });
  const { path } = await makeDataDisk(host, 16 * MiB);
  await setDataDisk(host, vdi.id, path);
  assert.deepEqual(
    host.domain(vdi.id).disks.filter(({ device }) => device === "disk").map((disk) => disk.target),
    [
      "vda",
      "vdb",
    ],
  );
  await assert.rejects(setDataDisk(host, other.id, path), fails("conflict", "vdi", "Detach it there first"));
  assert.equal((await makeDataDisk(host, 48 * MiB)).virtualBytes, 48 * MiB);
  assert.equal((await makeDataDisk(host, 16 * MiB)).virtualBytes, 48 * MiB);
  const before = await host.checksum(path);
  await host.run({
    kind: "populate",
    initialId: host.domains.all().find(({ role, name }) =>
      role === "initial" && name.startsWith("t-fil-")
    )!.id,
    basePath: null,
    machineIds: [vdi.id],
  });
  assert.equal(host.domain(vdi.id).disks.find(({ target }) => target === "vdb")?.path, path);
  assert.equal(await host.checksum(path), before);
  const { items } = await deleteFiles(host, [path]);
  assert.equal(items[0]?.deleted, false);
  await host.run({ kind: "delete-machine", machineId: vdi.id, keepDisks: false });
  await setDataDisk(host, other.id, path);
  await setDataDisk(host, other.id, null);
  assert.equal(host.domain(other.id).disks.length, 2);
  await assert.rejects(
    setDataDisk(host, other.id, host.diskPath(other.id)),
    fails("invalid", "not a data disk"),
  );
  assert.equal((await deleteFiles(host, [path])).items[0]?.deleted, true);
});

Deno.test("a data disk keeps what a guest writes through virtual snapshots and populate, and is plugged in and out live", async () => {
  await using host = await startHost();
  const demo = (await run([new URL("../../scripts/demo_guest", import.meta.url).pathname])).stdout;
  const image = demo.trim().split("\n").at(-1)!.replace(/^.*: /, "");
  const initial = await host.create(host.spec("gold", { role: "initial", memoryMiB: 192 }), {
    kind: "import",
    path: image,
  });
  const vdi = await host.create(host.spec("desk", { role: "vdi", memoryMiB: 192 }), { kind: "none" });
  const populate = () =>
    host.run({ kind: "populate", initialId: initial.id, basePath: null, machineIds: [vdi.id] });
  await populate();
  const { path } = await makeDataDisk(host, 16 * MiB);
  await setDataDisk(host, vdi.id, path);
  const guest = guestOf(vdi.name);
  const shell = async (script: string) => {
    const { exitCode, stdout, stderr } = await guest.exec(["/bin/sh", "-c", script]);
    assert.equal(exitCode, 0, stderr);
    return stdout.trim();
  };
  const readBack = () => shell("dd if=/dev/vdb bs=4 count=1 2>/dev/null");

  await startMachine(host, vdi.id, { virtualSnapshot: true });
  await guest.ready();
  await shell(
    "printf work | dd of=/dev/vdb conv=notrunc,fsync 2>/dev/null && echo lost > /data/note && sync",
  );
  await host.destroyRaw(vdi.id);
  await populate();

  await startMachine(host, vdi.id, { virtualSnapshot: true });
  await guest.ready();
  assert.equal(await readBack(), "work");
  assert.equal((await guest.exec(["/bin/cat", "/data/note"])).stdout, "");

  // What the guest has not written yet when the disk goes is on the disk all the same.
  await shell(
    "mke2fs /dev/vdb >/dev/null 2>&1 && mkdir -p /tmp/d && mount -t ext4 /dev/vdb /tmp/d && echo saved > /tmp/d/note",
  );
  await setDataDisk(host, vdi.id, null);
  await shell("umount -l /tmp/d");
  assert.equal(await shell("ls /dev | grep -c vdb || true"), "0");
  assert.equal(host.domain(vdi.id).disks.some(({ target }) => target === "vdb"), false);
  await setDataDisk(host, vdi.id, path);
  await eventually(
    "the guest sees the disk",
    async () => (await guest.exec(["/bin/ls", "/dev/vdb"])).exitCode === 0,
    { timeoutMs: 60_000 },
  );
  assert.equal(
    await shell("mkdir -p /tmp/e && mount -t ext4 /dev/vdb /tmp/e && cat /tmp/e/note && umount /tmp/e"),
    "saved",
  );
  await host.run({ kind: "create-data-disk", ...dataDisk, bytes: 24 * MiB });
  assert.equal(await shell("cat /sys/block/vdb/size"), String(24 * MiB / 512));
  await host.destroyRaw(vdi.id);
});
