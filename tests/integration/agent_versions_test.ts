import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import { assertMayStart } from "../../agent/images/chain.ts";
import { identifyFile } from "../../agent/images/identity.ts";
import { readQcow2Header } from "../../agent/images/qcow2_header.ts";
import { unseal } from "../../agent/operations/seal.ts";
import { setMachineDisk } from "../../agent/operations/set_disk.ts";
import { run } from "../../lib/process.ts";
import { fails } from "../support/fails.ts";
import { RealHost, TestOperation } from "../support/real_host.ts";

const MiB = 2 ** 20;
const startHost = () => RealHost.start("t-ver-");
const isWritable = async (path: string) => ((await Deno.stat(path)).mode! & 0o222) !== 0;

/** An initial on version 1 of its image, and a vdi that is not populated. */
async function makeImage(host: RealHost) {
  const raw = await host.makeRawImage("os.raw", 3 * MiB, 8 * MiB);
  const source = await host.create(host.spec("source", { role: "source" }), { kind: "import", path: raw });
  const initial = await host.create(host.spec("initial", { role: "initial" }), { kind: "none" });
  const vdi = await host.create(host.spec("vdi", { role: "vdi" }), { kind: "none" });
  const copy = async () =>
    (await host.run({ kind: "copy-disk", fromId: source.id, toId: initial.id })).result!.path;
  const seal = (path: string, op?: TestOperation) => host.run({ kind: "seal", path }, op);
  const populate = (basePath: string) =>
    host.run({ kind: "populate", initialId: initial.id, basePath, machineIds: [vdi.id] });
  return { source, initial, vdi, copy, seal, populate, path: await copy() };
}

Deno.test("seal makes a version read-only with the checksum of its bytes, and its initial may not change it", async () => {
  await using host = await startHost();
  const { initial, path, seal } = await makeImage(host);
  const op = await seal(path);
  assert.equal(op.result?.sha256, await host.checksum(path));
  assert.equal(op.result?.version, 1);
  assert.equal(op.result?.bytes, (await Deno.stat(path)).size);
  assert.deepEqual([op.progress.at(-1)?.done, op.progress.at(-1)?.unit], [op.result?.bytes, "bytes"]);
  assert.equal(await isWritable(path), false);
  const start = (virtualSnapshot: boolean) => assertMayStart(host, initial.id, { virtualSnapshot });
  await assert.rejects(start(false), fails("conflict", initial.name, "sealed", "Copy the disk"));
  await start(true);
});

Deno.test("seal refuses an image that a machine or another process writes to, and leaves it open", async () => {
  await using host = await startHost();
  const { initial, path, seal } = await makeImage(host);
  await host.startRaw(initial.id);
  await assert.rejects(seal(path), fails("conflict", initial.name, "running"));
  await host.destroyRaw(initial.id);
  {
    await using holder = await host.holdForWriting(path);
    await assert.rejects(seal(path), fails("conflict", String(holder.pid)));
  }
  const cancelled = new TestOperation((_, op) => op.abort.abort(new AppError("cancelled", "stop")));
  await assert.rejects(seal(path, cancelled), fails("cancelled"));
  assert.equal(await isWritable(path), true);
  await assert.rejects(seal("/etc/passwd"), fails("invalid"));
  await assert.rejects(seal(`${path}.none`), fails("not_found"));
});

Deno.test("unseal() opens a version again unless something is based on it", async () => {
  await using host = await startHost();
  const { initial, vdi, path, seal, populate } = await makeImage(host);
  await seal(path);
  await unseal(host, path);
  assert.equal(await isWritable(path), true);
  await assertMayStart(host, initial.id, { virtualSnapshot: false });
  await seal(path);
  await populate(path);
  await assert.rejects(unseal(host, path), fails("conflict", vdi.name));
  assert.equal(await isWritable(path), false);
});

Deno.test("a sealed version backs clones that run, while its initial customises the next one", async () => {
  await using host = await startHost();
  const { initial, vdi, copy, seal, populate, path } = await makeImage(host);
  const sealed = (await seal(path)).result!;
  const draft = await copy();
  await host.startRaw(initial.id);
  await populate(path);
  assert.equal((await readQcow2Header(host.diskPath(vdi.id)))?.backingPath, path);
  await host.startRaw(vdi.id);
  assert.equal(host.domain(vdi.id).state, "running");
  await assert.rejects(populate(draft), fails("conflict", initial.name, "running"));
  await host.destroyRaw(vdi.id);
  assert.equal(await host.checksum(path), sealed.sha256);
});

Deno.test("populate works from a version's file when its initial is on another host", async () => {
  await using host = await startHost();
  const { vdi, path, seal } = await makeImage(host);
  await seal(path);
  const initialId = crypto.randomUUID();
  await host.run({ kind: "populate", initialId, basePath: path, machineIds: [vdi.id] });
  assert.ok(await host.sameContents(path, host.diskPath(vdi.id)));
  const missing = { kind: "populate" as const, initialId, basePath: `${path}.none`, machineIds: [vdi.id] };
  await assert.rejects(host.run(missing), fails("not_found", `${path}.none`));
  assert.equal((await readQcow2Header(host.diskPath(vdi.id)))?.backingPath, path, "the old overlay stays");
});

Deno.test("setMachineDisk() takes an initial back to an older version, only while it is off", async () => {
  await using host = await startHost();
  const { source, initial, vdi, copy, path } = await makeImage(host);
  const newer = await copy();
  assert.equal(host.diskPath(initial.id), newer);
  const set = (to: string) => setMachineDisk(host, initial.id, { path: to, imageVersion: 1 });
  assert.equal((await set(path)).disks.find(({ device }) => device === "disk")?.path, path);
  assert.match(await host.virsh.dumpXml(initial.id, { inactive: true }), /imageVersion="1"|imageVersion='1'/);
  await assert.rejects(set(host.diskPath(source.id)), fails("conflict", source.name));
  await assert.rejects(set("/etc/hostname"), fails("invalid"));
  await host.startRaw(initial.id);
  await assert.rejects(set(newer), fails("conflict", "running"));
  await assert.rejects(
    setMachineDisk(host, crypto.randomUUID(), { path, imageVersion: 1 }),
    fails("not_found"),
  );
  assert.equal(host.domain(vdi.id).disks.length > 0, true);
});

Deno.test("create-machine takes a file that was brought for it, an overlay with its base here", async () => {
  await using host = await startHost();
  const { vdi, path, populate } = await makeImage(host);
  await populate(path);
  const moved = host.spec("moved", { role: "vdi" });
  const own = `${host.config.imageDir}/whatever-${moved.id.slice(0, 8)}.qcow2`;
  await Deno.copyFile(host.diskPath(vdi.id), own);
  await run(["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", "/elsewhere/base.qcow2", own]);
  const create = (filePath: string, basePath: string | null) =>
    host.create(moved, { kind: "own", path: filePath, basePath });
  await assert.rejects(create(own, null), fails("invalid", "overlay"));
  await assert.rejects(create(own, `${path}.none`), fails("not_found", `${path}.none`));
  await assert.rejects(create(path, null), fails("invalid", "of its own"));
  const domain = await create(own, path);
  assert.equal(domain.disks.find(({ device }) => device === "disk")?.backingPath, path);
  assert.ok(await host.sameContents(own, path));
  await host.startRaw(moved.id);
});

Deno.test("copy-image copies a file of shared storage as it is, or what it stands for", async () => {
  await using host = await startHost();
  const { initial, path, seal } = await makeImage(host);
  const { sha256 } = (await seal(path)).result!;
  const to = { kind: "version", initialId: crypto.randomUUID(), name: initial.name, version: 4 } as const;
  const copy = { kind: "copy-image", fromPath: path, to, asIs: true, sha256: "0".repeat(64) } as const;
  const before = await host.imageFiles();
  await assert.rejects(host.run(copy), fails("hypervisor_failed", "checksum"));
  assert.deepEqual(await host.imageFiles(), before, "nothing is left of a wrong copy");
  const made = (await host.run({ ...copy, sha256: sha256! })).result!;
  assert.equal(made.version, 4);
  assert.equal(await host.checksum(made.path), sha256);
  assert.ok((await Deno.stat(made.path)).blocks! <= (await Deno.stat(path)).blocks! + 256);
  assert.equal(await isWritable(made.path), true);
  const machine = { kind: "machine", machineId: crypto.randomUUID(), name: "alone" } as const;
  const whole = (await host.run({ ...copy, to: machine, asIs: false, sha256: null })).result!;
  assert.equal(whole.sha256, null);
  assert.ok(await host.sameContents(whole.path, path));
});

Deno.test("identifyFile() tells files of equal length apart, and finds the same file equal", async () => {
  await using host = await startHost();
  const { path, copy } = await makeImage(host);
  const identity = await identifyFile(path);
  assert.partialDeepStrictEqual(identity, { format: "qcow2", virtualBytes: 8 * MiB, backingPath: null });
  assert.deepEqual(await identifyFile(path), identity);
  assert.notDeepEqual({ ...await identifyFile(await copy()), path }, identity);
  await assert.rejects(identifyFile(`${path}.none`), fails("not_found"));
});
