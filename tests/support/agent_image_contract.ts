/** The part of the agent's contract that is about image files: versions, transfers, storage, uploads, data disks. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { AgentJob, AgentOperation, ImageResult, MachineSpec } from "../../contracts/agent.ts";
import type { ErrorCode } from "../../contracts/errors.ts";
import type { ContractSubject } from "./agent_contract.ts";
import { AgentEvents } from "./agent_events.ts";
import { eventually } from "./eventually.ts";

const mib = 2 ** 20;
const nowhere = "/nowhere/image.v1.qcow2";
const refused = (code: ErrorCode, text = /./) => (error: unknown) => {
  const { code: actual, message } = error as { code?: string; message: string };
  assert.equal(actual, code, message);
  assert.match(message, text);
  return true;
};
const firstDisk = (disks: { device: string; path: string | null; backingPath: string | null }[]) =>
  disks.find(({ device }) => device === "disk");

/** What the tests do with an agent, each step to its end. */
class Stage {
  constructor(readonly subject: ContractSubject, readonly events: AgentEvents) {}

  get agent() {
    return this.subject.agent;
  }

  async job(operation: AgentOperation): Promise<AgentJob> {
    return await this.events.runJob(this.agent, operation);
  }

  async done(operation: AgentOperation): Promise<AgentJob> {
    const job = await this.job(operation);
    assert.equal(job.state, "succeeded", job.error?.message ?? "");
    return job;
  }

  async result(operation: AgentOperation): Promise<ImageResult> {
    const { result } = await this.done(operation);
    assert.ok(result, `${operation.kind} tells its result`);
    return result;
  }

  async fails(operation: AgentOperation, code: ErrorCode, text?: RegExp): Promise<void> {
    const { state, error } = await this.job(operation);
    assert.equal(state, "failed");
    refused(code, text)(error);
  }

  async create(
    disk: Extract<AgentOperation, { kind: "create-machine" }>["disk"],
    values: Partial<MachineSpec>,
  ): Promise<MachineSpec> {
    const machine = this.subject.spec("images", values);
    await this.done({ kind: "create-machine", machine, disk });
    return machine;
  }

  /** An initial on version 1, which is sealed. */
  async makeImage(): Promise<{ source: MachineSpec; initial: MachineSpec; sealed: ImageResult }> {
    const source = await this.create({ kind: "import", path: this.subject.diskPath }, { role: "source" });
    const initial = await this.create({ kind: "none" }, { role: "initial" });
    const { path } = await this.result({
      kind: "copy-disk",
      fromId: source.id,
      toId: initial.id,
      version: 1,
    });
    return { source, initial, sealed: await this.result({ kind: "seal", path }) };
  }

  async storedPaths(): Promise<string[]> {
    return (await this.agent.storage()).map(({ path }) => path);
  }

  /** Starts a receive-image job and waits until it waits. */
  async receive(image: ImageResult, sha256: string | null, direct: boolean) {
    const jobId = crypto.randomUUID();
    const { bytes, allocatedBytes } = image;
    const to = { kind: "version", initialId: crypto.randomUUID(), name: "received", version: 2 } as const;
    await this.agent.startJob({
      id: jobId,
      operation: { kind: "receive-image", to, bytes, allocatedBytes, sha256, direct },
    });
    return { jobId, ...await eventually("it waits", () => this.agent.receiving(jobId), { everyMs: 5 }) };
  }
}

/** Defines the tests, each as `<name>: ...`. */
export function testImageContract(name: string, start: () => Promise<ContractSubject>): void {
  const test = (what: string, body: (stage: Stage) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using subject = await start();
      await using events = new AgentEvents(subject.agent);
      await events.until("the snapshot", () => events.all.length > 0);
      await body(new Stage(subject, events));
    });

  test("a sealed version has a checksum, and its initial starts on a virtual snapshot only", async (stage) => {
    const { initial, sealed } = await stage.makeImage();
    const { agent } = stage;
    assert.equal(sealed.version, 1);
    assert.match(sealed.sha256 ?? "", /^[0-9a-f]{64}$/);
    assert.ok(sealed.bytes > 0 && sealed.virtualBytes > 0);
    await assert.rejects(agent.power(initial.id, { action: "start" }), refused("conflict", /sealed/));
    await agent.power(initial.id, { action: "start", virtualSnapshot: true });
    await agent.power(initial.id, { action: "destroy" });
    await agent.unseal(sealed.path);
    await agent.power(initial.id, { action: "start" });
    await stage.fails({ kind: "seal", path: sealed.path }, "conflict", /running/);
    await stage.fails({ kind: "seal", path: nowhere }, "not_found");
    await assert.rejects(agent.unseal(nowhere), refused("not_found"));
  });

  test("versions stay side by side: clones on one, the initial on another and back", async (stage) => {
    const { source, initial, sealed } = await stage.makeImage();
    const { agent, events } = stage;
    const vdi = await stage.create({ kind: "none" }, { role: "vdi" });
    const copy = { kind: "copy-disk", fromId: source.id, toId: initial.id } as const;
    await stage.fails({ ...copy, version: 1 }, "conflict");
    const draft = await stage.result({ ...copy, version: 5 });
    assert.equal(draft.version, 5);
    await events.untilDomain(
      initial.id,
      "is on the draft",
      ({ disks }) => firstDisk(disks)?.path === draft.path,
    );
    await agent.power(initial.id, { action: "start" });
    const populate = { kind: "populate", initialId: initial.id, machineIds: [vdi.id] } as const;
    await stage.done({ ...populate, machineIds: [vdi.id], basePath: sealed.path });
    await events.untilDomain(
      vdi.id,
      "is on version 1",
      ({ disks }) => firstDisk(disks)?.backingPath === sealed.path,
    );
    await stage.fails({ ...populate, machineIds: [vdi.id], basePath: draft.path }, "conflict", /running/);
    await stage.fails({ ...populate, machineIds: [vdi.id], basePath: nowhere }, "not_found");
    await assert.rejects(agent.unseal(sealed.path), refused("conflict", new RegExp(vdi.name)));
    const back = { path: sealed.path, imageVersion: 1 };
    await assert.rejects(agent.setDisk(initial.id, back), refused("conflict"));
    await agent.power(initial.id, { action: "destroy" });
    assert.equal(firstDisk((await agent.setDisk(initial.id, back)).disks)?.path, sealed.path);
    await assert.rejects(
      agent.setDisk(initial.id, { path: nowhere, imageVersion: 1 }),
      refused("not_found"),
    );
    assert.ok((await stage.storedPaths()).includes(draft.path), "nothing is removed by itself");
  });

  test("a file is sent to another agent, straight and by a relay, and its checksum must be right", async (stage) => {
    const { sealed } = await stage.makeImage();
    const { agent, events } = stage;
    const straight = await stage.receive(sealed, sealed.sha256, true);
    const send = { kind: "send-image", path: sealed.path, hosts: ["127.0.0.1"] } as const;
    await stage.done({ ...send, hosts: ["127.0.0.1"], jobId: straight.jobId, ...straight.direct! });
    const relayed = await stage.receive(sealed, null, false);
    assert.equal(relayed.direct, null);
    assert.equal(relayed.receivedBytes, 0);
    const { signal } = new AbortController();
    await assert.rejects(
      agent.sendStream(relayed.jobId, 1, await agent.imageStream(sealed.path, 1, signal), signal),
      refused("conflict"),
    );
    await agent.sendStream(relayed.jobId, 0, await agent.imageStream(sealed.path, 0, signal), signal);
    for (const { jobId } of [straight, relayed]) {
      const { state, result, error } = await events.untilJobEnds(jobId);
      assert.equal(state, "succeeded", error?.message ?? "");
      assert.partialDeepStrictEqual(result, { version: 2, bytes: sealed.bytes, sha256: sealed.sha256 });
    }
    await assert.rejects(agent.receiving(straight.jobId), refused("not_found"));
    const before = await stage.storedPaths();
    const wrong = await stage.receive(sealed, "0".repeat(64), false);
    const frames = await agent.imageStream(sealed.path, 0, signal);
    await assert.rejects(agent.sendStream(wrong.jobId, 0, frames, signal), refused("hypervisor_failed"));
    assert.equal((await events.untilJobEnds(wrong.jobId)).error?.code, "hypervisor_failed");
    const cancelled = await stage.receive(sealed, null, true);
    await agent.cancelJob(cancelled.jobId);
    assert.equal((await events.untilJobEnds(cancelled.jobId)).state, "cancelled");
    assert.deepEqual(await stage.storedPaths(), before, "nothing is left of what failed");
  });

  test("send-image says `unavailable` when nobody answers", async (stage) => {
    const { sealed } = await stage.makeImage();
    const waiting = await stage.receive(sealed, null, true);
    await stage.fails({
      ...{ kind: "send-image", path: sealed.path, jobId: waiting.jobId, hosts: ["127.0.0.1"] },
      ...waiting.direct!,
      port: 1,
    }, "unavailable");
    await stage.agent.cancelJob(waiting.jobId);
  });

  test("copy-image and create-machine make a machine of a file that lies elsewhere", async (stage) => {
    const { sealed, initial } = await stage.makeImage();
    const { agent, events } = stage;
    const machine = stage.subject.spec("own", {});
    const to = { kind: "machine", machineId: machine.id, name: machine.name } as const;
    const copy = { kind: "copy-image", fromPath: sealed.path, to, asIs: true } as const;
    const made = await stage.result({ ...copy, sha256: sealed.sha256 });
    assert.equal(made.sha256, sealed.sha256);
    await stage.fails(copy, "conflict");
    await stage.fails({ ...copy, fromPath: nowhere, to: { ...to, name: "other" } }, "not_found");
    const own = { kind: "own", path: made.path, basePath: null } as const;
    await stage.fails({ kind: "create-machine", machine, disk: { ...own, path: sealed.path } }, "invalid");
    await stage.done({ kind: "create-machine", machine, disk: own });
    await events.untilDomain(machine.id, "has its disk", ({ disks }) => firstDisk(disks)?.path === made.path);
    const vdi = await stage.create({ kind: "none" }, { role: "vdi" });
    const populate = { kind: "populate", initialId: initial.id, basePath: sealed.path } as const;
    await stage.done({ ...populate, machineIds: [vdi.id] });
    const overlay = await events.untilDomain(
      vdi.id,
      "is populated",
      ({ disks }) => Boolean(firstDisk(disks)?.backingPath),
    );
    const moved = stage.subject.spec("moved", { role: "vdi" });
    const copied = await stage.result({
      kind: "copy-image",
      fromPath: firstDisk(overlay.disks)!.path!,
      to: { kind: "machine", machineId: moved.id, name: moved.name },
      asIs: true,
    });
    const disk = { kind: "own", path: copied.path, basePath: sealed.path } as const;
    await stage.fails(
      { kind: "create-machine", machine: moved, disk: { ...disk, basePath: nowhere } },
      "not_found",
    );
    await stage.done({ kind: "create-machine", machine: moved, disk });
    assert.equal((await agent.power(moved.id, { action: "start" })).state, "running");
  });

  test("storage() tells every file with what uses it, and only unused ones are deleted", async (stage) => {
    const { source, initial, sealed } = await stage.makeImage();
    const { agent } = stage;
    const vdi = await stage.create({ kind: "none" }, { role: "vdi" });
    const populate = { kind: "populate", initialId: initial.id, basePath: sealed.path } as const;
    await stage.done({ ...populate, machineIds: [vdi.id] });
    const draft = await stage.result({ kind: "copy-disk", fromId: source.id, toId: initial.id, version: 2 });
    const stored = new Map((await agent.storage()).map((file) => [file.path, file]));
    assert.partialDeepStrictEqual(stored.get(sealed.path), {
      kind: "version",
      version: 1,
      domainIds: [vdi.id],
      inUse: true,
    });
    assert.partialDeepStrictEqual(stored.get(draft.path), { kind: "version", version: 2, inUse: true });
    const overlay = [...stored.values()].find(({ kind }) => kind === "overlay");
    assert.partialDeepStrictEqual(overlay, { backingPath: sealed.path, domainIds: [vdi.id] });
    await agent.setDisk(initial.id, { path: sealed.path, imageVersion: 1 });
    const { items } = await agent.deleteFiles([sealed.path, draft.path]);
    assert.deepEqual(items.map(({ deleted }) => deleted), [false, true]);
    assert.ok(items[0]!.message);
    const left = await stage.storedPaths();
    assert.deepEqual([left.includes(sealed.path), left.includes(draft.path)], [true, false]);
  });

  test("fileIdentity() is equal for the same file and differs for another", async (stage) => {
    const { source, initial, sealed } = await stage.makeImage();
    const { agent } = stage;
    const identity = await agent.fileIdentity(sealed.path);
    assert.equal(identity.bytes, sealed.bytes);
    assert.deepEqual(await agent.fileIdentity(sealed.path), identity);
    const other = await stage.result({ kind: "copy-disk", fromId: source.id, toId: initial.id, version: 2 });
    assert.notDeepEqual({ ...await agent.fileIdentity(other.path), path: sealed.path }, identity);
    await assert.rejects(agent.fileIdentity(nowhere), refused("not_found"));
  });

  test("a data disk is attached once, survives populate, and is detached", async (stage) => {
    const { initial, sealed } = await stage.makeImage();
    const { agent, events } = stage;
    const [vdi, other] = [
      await stage.create({ kind: "none" }, { role: "vdi" }),
      await stage.create({ kind: "none" }, { role: "vdi" }),
    ];
    const { path, virtualBytes } = await stage.result({
      kind: "create-data-disk",
      diskId: crypto.randomUUID(),
      name: "work",
      bytes: 32 * mib,
    });
    assert.equal(virtualBytes, 32 * mib);
    const populate = { kind: "populate", initialId: initial.id, basePath: sealed.path } as const;
    await stage.done({ ...populate, machineIds: [vdi.id, other.id] });
    assert.ok((await agent.setDataDisk(vdi.id, { path })).disks.some((disk) => disk.path === path));
    await assert.rejects(agent.setDataDisk(other.id, { path }), refused("conflict", new RegExp(vdi.name)));
    await stage.done({ ...populate, machineIds: [vdi.id] });
    const { disks } = await events.untilDomain(
      vdi.id,
      "keeps it",
      ({ disks }) => disks.some((disk) => disk.path === path),
    );
    assert.equal(firstDisk(disks)?.backingPath, sealed.path);
    const detached = await agent.setDataDisk(vdi.id, { path: null });
    assert.ok(detached.disks.every((disk) => disk.path !== path));
  });

  test("flatten and resize-disk change a machine's own disk", async (stage) => {
    const { initial, sealed } = await stage.makeImage();
    const { events } = stage;
    const vdi = await stage.create({ kind: "none" }, { role: "vdi" });
    const populate = { kind: "populate", initialId: initial.id, basePath: sealed.path } as const;
    await stage.done({ ...populate, machineIds: [vdi.id] });
    await stage.result({ kind: "flatten", machineId: vdi.id });
    const domain = await events.untilDomain(vdi.id, "stands alone", ({ role }) => role === "simple");
    assert.equal(firstDisk(domain.disks)?.backingPath, null);
    const bytes = sealed.virtualBytes + 16 * mib;
    await stage.done({ kind: "resize-disk", machineId: vdi.id, bytes });
    await events.untilDomain(vdi.id, "has grown", ({ disks }) => disks[0]?.virtualBytes === bytes);
    await stage.fails({ kind: "resize-disk", machineId: vdi.id, bytes: mib }, "invalid");
  });

  test("an upload goes on where it stopped and ends with its checksum", async ({ agent }) => {
    const bytes = new Uint8Array(3 * mib).map((_, index) => index % 251);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const id = crypto.randomUUID();
    const upload = { fileName: `upload-${id.slice(0, 8)}.img`, bytes: bytes.length, reserveBytes: 0 };
    assert.deepEqual(await agent.beginUpload(id, upload), { receivedBytes: 0, bytes: bytes.length });
    await agent.writeUpload(id, 0, bytes.subarray(0, mib));
    assert.equal((await agent.beginUpload(id, upload)).receivedBytes, mib);
    await assert.rejects(agent.writeUpload(id, 0, bytes.subarray(0, mib)), refused("conflict"));
    await assert.rejects(agent.finishUpload(id, sha256), refused("conflict"));
    await agent.writeUpload(id, mib, bytes.subarray(mib));
    const { path, format, virtualBytes } = await agent.finishUpload(id, sha256);
    assert.deepEqual({ format, virtualBytes }, { format: "raw", virtualBytes: bytes.length });
    const { totalBytes, bytes: content } = await agent.readFile(path, mib, new AbortController().signal);
    assert.equal(totalBytes, bytes.length);
    const hash = createHash("sha256").update(bytes.subarray(0, mib));
    for await (const piece of content) hash.update(piece);
    assert.equal(hash.digest("hex"), sha256);
    await assert.rejects(agent.upload(crypto.randomUUID()), refused("not_found"));
  });
}
