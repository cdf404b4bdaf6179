import assert from "node:assert/strict";
import { join } from "node:path";
import type { ImageResult, Receiving } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { SparseWriter } from "../../agent/images/blocks.ts";
import { sendFrames } from "../../agent/images/frames.ts";
import { receive, receiveImage } from "../../agent/operations/receive_image.ts";
import type { OperationOf } from "../../agent/host.ts";
import { run } from "../../lib/process.ts";
import { startCuttingProxy } from "../support/cutting_proxy.ts";
import { eventually } from "../support/eventually.ts";
import { fails } from "../support/fails.ts";
import { RealHost, TestOperation } from "../support/real_host.ts";

const MiB = 2 ** 20;

/** Two hosts with nothing shared, and a file on the first: noise, then a large hole, then noise. */
async function makeHosts() {
  const stack = new AsyncDisposableStack();
  const source = stack.use(await RealHost.start("t-tra-"));
  const target = stack.use(await RealHost.start("t-trb-"));
  const path = await makeImage(source);
  return { source, target, path, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A qcow2 file with 24 MiB of noise, longer than what it takes on the disk. */
async function makeImage(host: RealHost): Promise<string> {
  const raw = await host.makeRawImage("os.raw", 24 * MiB, 64 * MiB);
  const path = join(host.config.imageDir, "golden-0000aaaa.v3.qcow2");
  await run(["qemu-img", "convert", "-O", "qcow2", "-f", "raw", raw, path]);
  using file = await Deno.open(path, { write: true });
  await file.truncate(64 * MiB);
  return path;
}

type Input = OperationOf<"receive-image">;

async function inputFor(path: string, values: Partial<Input> = {}): Promise<Input> {
  const { size, blocks } = await Deno.stat(path);
  const to = { kind: "version", initialId: crypto.randomUUID(), name: "golden", version: 3 } as const;
  return {
    kind: "receive-image",
    to,
    bytes: size,
    allocatedBytes: blocks! * 512,
    sha256: null,
    direct: true,
    ...values,
  };
}

/** A receive-image job that waits for its sender. */
async function startReceiving(host: RealHost, input: Input, op = new TestOperation()) {
  const done = host.run(input, op).then(({ result }) => result!);
  done.catch(() => {});
  const state = () => host.receivers.get(op.jobId).state();
  await eventually("it waits", () => {
    try {
      return Promise.resolve(state());
    } catch (error) {
      return Promise.reject(error);
    }
  });
  return { op, done, state };
}

const sendTo = (path: string, jobId: string, direct: Receiving["direct"], hosts = ["127.0.0.1"]) => ({
  kind: "send-image" as const,
  path,
  jobId,
  hosts,
  ...direct!,
});

async function assertSameFile(host: RealHost, path: string, result: ImageResult): Promise<void> {
  const [{ size, blocks }, copy] = [await Deno.stat(path), await Deno.stat(result.path)];
  assert.equal(result.sha256, await host.checksum(path));
  assert.equal(await host.checksum(result.path), result.sha256);
  assert.deepEqual([copy.size, result.bytes], [size, size]);
  assert.ok(copy.blocks! <= blocks! + 512, `${copy.blocks} blocks instead of ${blocks}: sparse stays sparse`);
}

Deno.test("send-image and receive-image bring a file to another host, byte for byte and sparse", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const sha256 = await source.checksum(path);
  const { op, done, state } = await startReceiving(target, await inputFor(path, { sha256 }));
  const sender = await source.run(sendTo(path, op.jobId, state().direct, ["::1", "127.0.0.1"]));
  const result = await done;
  await assertSameFile(source, path, result);
  assert.partialDeepStrictEqual(result, { version: 3, format: "qcow2", virtualBytes: 64 * MiB });
  assert.deepEqual(await target.imageFiles(), [result.path.split("/").at(-1)]);
  for (const { progress } of [op, sender]) {
    const last = progress.findLast(({ done }) => done !== undefined);
    assert.deepEqual([last?.total, last?.unit], [64 * MiB, "bytes"]);
    assert.ok(progress.some(({ done }) => done! > MiB && done! < 24 * MiB), "it is told on the way");
  }
  assert.throws(() => target.receivers.get(op.jobId), fails("not_found"));
});

Deno.test("a transfer goes on where it was cut, more than once", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const { op, done, state } = await startReceiving(target, await inputFor(path));
  const { port, ...direct } = state().direct!;
  await using proxy = startCuttingProxy(port, [6 * MiB, 9 * MiB]);
  await source.run(sendTo(path, op.jobId, { ...direct, port: proxy.port }));
  await assertSameFile(source, path, await done);
  assert.equal(proxy.connections, 3);
  assert.ok(proxy.passedBytes < 30 * MiB, `${proxy.passedBytes} bytes passed: nothing was sent twice`);
});

Deno.test("a sender without the token, or that trusts another certificate, brings nothing", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const one = await startReceiving(target, await inputFor(path));
  const other = await startReceiving(target, await inputFor(path));
  const direct = one.state().direct!;
  await assert.rejects(
    source.run(sendTo(path, one.op.jobId, { ...direct, token: "0".repeat(64) })),
    fails("forbidden", "token"),
  );
  const { certificate } = other.state().direct!;
  await assert.rejects(
    source.run(sendTo(path, one.op.jobId, { ...direct, certificate })),
    fails("unavailable", "cannot be reached directly"),
  );
  assert.equal(one.state().receivedBytes, 0);
  await source.run(sendTo(path, one.op.jobId, direct));
  await assertSameFile(source, path, await one.done);
  other.op.abort.abort(new AppError("cancelled", "stop"));
  await assert.rejects(other.done, fails("cancelled"));
});

Deno.test("send-image says within five seconds that nobody answers, so that a relay can take over", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const { op, done, state } = await startReceiving(target, await inputFor(path));
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const startedAt = Date.now();
  const direct = { ...state().direct!, port: (silent.addr as Deno.NetAddr).port };
  await assert.rejects(source.run(sendTo(path, op.jobId, direct)), fails("unavailable", "127.0.0.1"));
  assert.ok(Date.now() - startedAt < 5_000);
  silent.close();
  op.abort.abort(new AppError("cancelled", "stop"));
  await assert.rejects(done, fails("cancelled"));
});

Deno.test("a relay brings the same file, and goes on where it was cut", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const { op, done, state } = await startReceiving(target, await inputFor(path, { direct: false }));
  assert.equal(state().direct, null);
  const receiver = target.receivers.get(op.jobId);
  async function* cutAfter(bytes: AsyncIterable<Uint8Array>, mostBytes: number) {
    let passed = 0;
    for await (const piece of bytes) {
      if ((passed += piece.length) > mostBytes) return;
      yield piece;
    }
  }
  await assert.rejects(
    receiver.take(0, cutAfter(sendFrames({ path, from: 0 }), 10 * MiB)),
    fails("unavailable"),
  );
  const { receivedBytes } = state();
  assert.ok(receivedBytes > 8 * MiB && receivedBytes <= 10 * MiB);
  await assert.rejects(
    receiver.take(0, sendFrames({ path, from: 0 })),
    fails("conflict", String(receivedBytes)),
  );
  await receiver.take(receivedBytes, sendFrames({ path, from: receivedBytes }));
  await assertSameFile(source, path, await done);
});

Deno.test("a wrong checksum or length leaves nothing, and both sides say why", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const wrong = await startReceiving(target, await inputFor(path, { sha256: "0".repeat(64) }));
  await assert.rejects(
    source.run(sendTo(path, wrong.op.jobId, wrong.state().direct)),
    fails("hypervisor_failed", "checksum"),
  );
  await assert.rejects(wrong.done, fails("hypervisor_failed", "checksum"));
  const short = await startReceiving(target, await inputFor(path, { bytes: 10 * MiB }));
  await assert.rejects(
    source.run(sendTo(path, short.op.jobId, short.state().direct)),
    fails("invalid", String(10 * MiB)),
  );
  await assert.rejects(short.done, fails("invalid"));
  assert.deepEqual(await target.imageFiles(), []);
});

Deno.test("cancelling either side leaves nothing, and the receiver waits on for another sender", async () => {
  await using hosts = await makeHosts();
  const { source, target, path } = hosts;
  const { op, done, state } = await startReceiving(target, await inputFor(path));
  const stop = new AppError("cancelled", "stop");
  const sender = new TestOperation(({ done }, sending) => done! > 4 * MiB && sending.abort.abort(stop));
  await assert.rejects(source.run(sendTo(path, op.jobId, state().direct), sender), fails("cancelled"));
  assert.deepEqual((await target.imageFiles()).map((name) => name.endsWith(".partial")), [true]);
  const again = source.run(sendTo(path, op.jobId, state().direct));
  op.abort.abort(stop);
  await assert.rejects(done, fails("cancelled"));
  await assert.rejects(again);
  assert.deepEqual(await target.imageFiles(), []);
});

Deno.test("a receiver gives up when nothing comes, and recover() removes what a killed agent left", async () => {
  await using target = await RealHost.start("t-trb-");
  const path = await makeImage(target);
  const input = await inputFor(path);
  await assert.rejects(
    receive(target, input, new TestOperation(), 50),
    fails("unavailable", "nothing came"),
  );
  const partial = `${path.slice(0, -"0000aaaa.v3.qcow2".length)}${
    input.to.kind === "version" ? input.to.initialId.slice(0, 8) : ""
  }.v3.qcow2.partial`;
  await Deno.writeTextFile(partial, "half");
  await receiveImage.recover(target, input);
  assert.deepEqual(await target.imageFiles(), ["golden-0000aaaa.v3.qcow2"]);
});

Deno.test("a target with too little room refuses at once; one that fills up says so", async () => {
  await using target = await RealHost.start("t-trb-");
  const path = await makeImage(target);
  await assert.rejects(
    target.run(await inputFor(path, { allocatedBytes: 2 ** 50 })),
    fails("conflict", "free", target.config.imageDir),
  );
  const small = join(target.dir, "small");
  await Deno.mkdir(small);
  await run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small]);
  try {
    using writer = await SparseWriter.create(join(small, "copy"));
    const data = new Uint8Array(MiB).fill(1);
    await writer.write({ offset: 0, data: data.subarray(0, MiB / 2) });
    await assert.rejects(writer.write({ offset: MiB, data }), fails("conflict", "full", small));
  } finally {
    await run(["umount", small]);
  }
});

Deno.test("a machine is not sent while it runs, and not started while it is sent", async () => {
  await using hosts = await makeHosts();
  const { source, target } = hosts;
  const raw = await source.makeRawImage("disk.raw", 24 * MiB);
  const machine = await source.create(source.spec("moving"), { kind: "import", path: raw });
  const path = source.diskPath(machine.id);
  const { op, done, state } = await startReceiving(target, await inputFor(path));
  const send = (sender?: TestOperation) => source.run(sendTo(path, op.jobId, state().direct), sender);
  await source.startRaw(machine.id);
  await assert.rejects(send(), fails("conflict", machine.name, "running"));
  await source.destroyRaw(machine.id);
  const refused: Promise<unknown>[] = [];
  const sender = new TestOperation(({ done }) => {
    if (!done || refused.length > 0) return;
    const start = source.locks.hold([machine.id], { purpose: "its power is being switched" });
    refused.push(assert.rejects(start, fails("conflict", "being sent")));
  });
  await send(sender);
  assert.equal(refused.length, 1);
  await Promise.all(refused);
  await assertSameFile(source, path, await done);
});
