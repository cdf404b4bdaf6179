import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../lib/process.ts";
import { requireSuccess, TestHypervisor } from "../support/hypervisor.ts";
import { OwnLibvirt } from "../support/own_libvirt.ts";
import { eventually } from "../support/eventually.ts";

const mib = 2 ** 20;

/** A raw image of noise, large enough for a copy to be met half way. */
async function makeLargeImage(directory: string): Promise<string> {
  const path = join(directory, "large.img");
  await run(["dd", "if=/dev/urandom", `of=${path}`, "bs=4M", "count=300", "status=none"]);
  return path;
}

Deno.test("an agent killed during a copy reports the job as interrupted and leaves no file behind", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, imageDir } = hypervisor;
  const path = await makeLargeImage(hypervisor.dir);
  const source = await hypervisor.create({ name: "source", role: "source" }, { kind: "import", path });
  const initial = await hypervisor.create({ name: "gold", role: "initial" }, { kind: "none" });
  const copy = { kind: "copy-disk", fromId: source.id, toId: initial.id } as const;
  requireSuccess(await hypervisor.events.runJob(agent, copy, 60_000));
  const filesBefore = await hypervisor.files(imageDir);
  const diskBefore = hypervisor.events.domains.get(initial.id)?.disks[0]?.path;

  const { id } = await agent.startJob({ id: crypto.randomUUID(), operation: copy });
  await hypervisor.events.until("the copy is under way", () => {
    const job = hypervisor.events.jobs.get(id);
    return job?.state === "running" && job.unit === "bytes" && job.done > 0;
  });
  await hypervisor.killAgent();
  assert.notDeepEqual(await hypervisor.files(imageDir), filesBefore, "the copy was not half way");
  await hypervisor.startAgent();

  const job = (await agent.jobs()).find((job) => job.id === id);
  assert.equal(job?.state, "interrupted");
  assert.equal(job?.error?.code, "interrupted");
  assert.equal(hypervisor.events.domains.get(initial.id)?.disks[0]?.path, diskBefore);
  assert.deepEqual(await hypervisor.files(imageDir), filesBefore);
  requireSuccess(await hypervisor.events.runJob(agent, copy, 60_000));
});

Deno.test("an agent killed while it creates a machine leaves neither a domain nor a file", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, imageDir } = hypervisor;
  const path = await makeLargeImage(hypervisor.dir);
  const machine = hypervisor.spec("half", { role: "source" });
  const { id } = await agent.startJob({
    id: crypto.randomUUID(),
    operation: { kind: "create-machine", machine, disk: { kind: "import", path } },
  });
  await hypervisor.events.until(
    "the import is under way",
    () => (hypervisor.events.jobs.get(id)?.done ?? 0) > 0,
  );
  await hypervisor.killAgent();
  await hypervisor.startAgent();
  assert.equal((await agent.jobs()).find((job) => job.id === id)?.state, "interrupted");
  assert.deepEqual(await hypervisor.files(imageDir), []);
  assert.equal(hypervisor.events.domains.has(machine.id), false);
});

Deno.test("an agent killed while it receives an image leaves nothing of it", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, imageDir } = hypervisor;
  const path = join(hypervisor.isoDir, "image.qcow2");
  await run(["qemu-img", "convert", "-O", "qcow2", await makeLargeImage(hypervisor.dir), path]);
  const { size, blocks } = await Deno.stat(path);
  const to = { kind: "version", initialId: crypto.randomUUID(), name: "golden", version: 1 } as const;
  const id = crypto.randomUUID();
  const receive = { kind: "receive-image", to, bytes: size, allocatedBytes: blocks! * 512 } as const;
  await agent.startJob({ id, operation: { ...receive, sha256: null, direct: true } });
  await eventually("it waits", () => agent.receiving(id));
  const { signal } = new AbortController();
  const sending = agent.sendStream(id, 0, await agent.imageStream(path, 0, signal), signal);
  const broken = assert.rejects(sending, { code: "unavailable" });
  await hypervisor.events.until("some of it is there", () => (hypervisor.events.jobs.get(id)?.done ?? 0) > 0);
  await hypervisor.killAgent();
  await broken;
  assert.deepEqual((await hypervisor.files(imageDir)).map((name) => name.endsWith(".partial")), [true]);
  await hypervisor.startAgent();
  await eventually("it is gone", async () => (await hypervisor.files(imageDir)).length === 0);
  assert.equal((await agent.jobs()).find((job) => job.id === id)?.state, "interrupted");
});

Deno.test("SIGTERM interrupts a running copy, undoes it and ends with exit code 0", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, imageDir } = hypervisor;
  const path = await makeLargeImage(hypervisor.dir);
  const machine = hypervisor.spec("stopped", { role: "source" });
  const { id } = await agent.startJob({
    id: crypto.randomUUID(),
    operation: { kind: "create-machine", machine, disk: { kind: "import", path } },
  });
  await hypervisor.events.until(
    "the import is under way",
    () => (hypervisor.events.jobs.get(id)?.done ?? 0) > 0,
  );
  assert.equal(await hypervisor.stopAgent(), 0);
  assert.deepEqual(await hypervisor.files(imageDir), []);
  await hypervisor.startAgent();
  assert.equal((await agent.jobs()).find((job) => job.id === id)?.state, "interrupted");
});

Deno.test("--exit-with-parent ends the agent with exit code 0 when its standard input ends", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  assert.equal(await hypervisor.orphanAgent(), 0);
  assert.ok(!(await hypervisor.files(hypervisor.dir)).includes("agent.sock"));
});

Deno.test("a second agent on the same socket or state directory refuses to start", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const other = TestHypervisor.startIn(hypervisor.dir, { prefix: "a1-" });
  await assert.rejects(other, /another one/);
  await hypervisor.agent.hello();
});

Deno.test("the agent sees what others do to domains with virsh", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { events } = hypervisor;
  const { id, name } = hypervisor.spec("foreign");
  const xml = `<domain type='qemu'><name>${name}</name><uuid>${id}</uuid><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`;
  const path = join(hypervisor.dir, "foreign.xml");
  await Deno.writeTextFile(path, xml);
  await hypervisor.virsh("define", path);
  await events.untilDomain(id, "is defined", ({ managed, state }) => !managed && state === "shut-off");
  await hypervisor.virsh("start", id);
  await events.untilDomain(id, "runs", ({ state }) => state === "running");
  await hypervisor.virsh("suspend", id);
  await events.untilDomain(id, "is paused", ({ state }) => state === "paused");
  await hypervisor.virsh("destroy", id);
  await events.untilDomain(id, "is off", ({ state }) => state === "shut-off");
  await hypervisor.virsh("domrename", id, `${name}-new`);
  await events.untilDomain(id, "has its new name", (domain) => domain.name === `${name}-new`);
  await hypervisor.virsh("undefine", id);
  await events.until("the removal", () => !events.domains.has(id));
});

Deno.test("libvirtd restarts while a machine runs: said, survived, and seen again within seconds", async () => {
  await using libvirt = await OwnLibvirt.start();
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-", enter: libvirt.enter });
  const { agent, events } = hypervisor;
  const { id } = await hypervisor.create({ name: "survivor" }, { kind: "blank", bytes: 16 * mib });
  const { id: otherId } = await hypervisor.create({ name: "other" }, { kind: "blank", bytes: 16 * mib });
  await agent.power(id, { action: "start", virtualSnapshot: true });

  await libvirt.stopDaemon();
  const lost = await events.until(
    "the loss",
    () => events.all.findLast((event) => event.type === "libvirt" && !event.libvirt.connected),
  );
  assert.ok(lost.type === "libvirt" && lost.libvirt.reason?.includes("not reachable"));
  // Defect 12: a listing that fails must never look like an empty one.
  assert.equal(events.domains.size, 2);
  assert.ok(!events.all.some((event) => event.type === "domain-removed"));
  await assert.rejects(agent.power(otherId, { action: "start" }), { code: "hypervisor_failed" });
  assert.equal((await agent.hello()).pid, hypervisor.pid);

  const seen = events.all.length;
  const startedAt = Date.now();
  await libvirt.startDaemon();
  await events.until(
    "the connection",
    () => events.all.slice(seen).some((event) => event.type === "libvirt" && event.libvirt.connected),
  );
  assert.ok(Date.now() - startedAt < 10_000, `it took ${Date.now() - startedAt} ms`);
  assert.ok(events.all.slice(seen).some((event) => event.type === "domains"));
  assert.partialDeepStrictEqual(events.domains.get(id), { state: "running", virtualSnapshot: true });
  assert.equal((await hypervisor.files(hypervisor.scratchDir)).length, 1);

  // Events flow again.
  await eventually("the second look is over", () => Date.now() - startedAt > 2_000);
  await hypervisor.virsh("destroy", id);
  await events.untilDomain(id, "is off", ({ state }) => state === "shut-off", 4_000);
});
