/** An agent gets a new executable while guests and jobs run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { MachineSpec } from "../../contracts/agent.ts";
import { isOpenJob } from "../../contracts/job.ts";
import { sha256Of } from "../../lib/executable_file.ts";
import { spawn } from "../../lib/process.ts";
import { BareHost, installedPath } from "../support/bare_host.ts";
import { eventually } from "../support/eventually.ts";
import { startTestDashboard, type TestDashboard } from "../support/dashboard.ts";
import { makeOtherExecutable, packedExecutable } from "../support/executables.ts";
import { FakeAgent } from "../support/fake_agent.ts";
import { TestHypervisor } from "../support/hypervisor.ts";

/** A host with an agent, and the newer executable of another commit. */
async function startHost() {
  const host = await BareHost.start();
  const paths = { old: join(host.libvirt.dir, "old"), next: join(host.libvirt.dir, "next") };
  const oldCommit = await makeOtherExecutable(paths.old, "a");
  const commit = await makeOtherExecutable(paths.next, "c");
  await host.install([], paths.old);
  const old = await host.untilHello("the older agent answers", (hello) => hello.commit === oldCommit);
  const sha256 = (await sha256Of(paths.next))!;
  const { size: length } = await Deno.stat(paths.next);
  const update = async (changes: { path?: string; sha256?: string; length?: number } = {}) => {
    const file = await Deno.open(changes.path ?? paths.next);
    await host.agent.updateExecutable({ sha256, length, ...changes, bytes: file.readable });
  };
  return {
    host,
    old,
    commit,
    update,
    nextPath: paths.next,
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

const spec = (name: string, role: MachineSpec["role"] = "simple"): MachineSpec => ({
  ...{ id: crypto.randomUUID(), name: `b-${name}`, role, osType: "linux", vcpus: 1, memoryMiB: 64 },
  ...{ mac: null, network: "none", video: "virtio", iso: null },
});

async function runJob(host: BareHost, operation: Parameters<typeof host.agent.startJob>[0]["operation"]) {
  const { id } = await host.agent.startJob({ id: crypto.randomUUID(), operation });
  return await eventually("the job ends", async () => {
    const job = (await host.agent.jobs()).find((job) => job.id === id);
    return job && !isOpenJob(job) && job;
  }, { timeoutMs: 60_000 });
}

Deno.test("an update ends running jobs first, takes no new ones, and does not touch a running guest", async () => {
  await using stand = await startHost();
  const { host, old, commit, update } = stand;
  const guest = spec("guest");
  const made = await runJob(host, {
    kind: "create-machine",
    machine: guest,
    disk: { kind: "blank", bytes: 2 ** 24 },
  });
  assert.equal(made.state, "succeeded", made.error?.message ?? "");
  const { disks: [disk] } = await host.agent.power(guest.id, { action: "start" });
  const qemuPid = await host.sh(`cat /run/libvirt/qemu/${guest.name}.pid`);

  // A job that lasts until it is given what it waits for.
  const image = "/var/lib/kvm-vdi/images/image.qcow2";
  await host.run("cp", disk!.path!, image);
  const { bytes } = await host.agent.fileIdentity(image);
  const running = await host.agent.startJob({
    id: crypto.randomUUID(),
    operation: {
      kind: "receive-image",
      to: { kind: "machine", machineId: crypto.randomUUID(), name: "b-received" },
      ...{ bytes, allocatedBytes: bytes, sha256: null, direct: false },
    },
  });
  await update();
  const late = { kind: "create-machine", machine: spec("late"), disk: { kind: "none" } } as const;
  await assert.rejects(host.agent.startJob({ id: crypto.randomUUID(), operation: late }), {
    code: "unavailable",
    message: /is being updated and restarts once its running jobs have ended/,
  });
  const job = (await host.agent.jobs()).find(({ id }) => id === running.id)!;
  assert.ok(isOpenJob(job), job.error?.message ?? job.state);
  assert.equal((await host.agent.hello()).pid, old.pid, "it has not waited for the job");
  await update();
  const other = update({ sha256: "0".repeat(64) });
  await assert.rejects(other, { code: "unavailable", message: /being updated already/ });

  const signal = AbortSignal.timeout(20_000);
  await host.agent.sendStream(running.id, 0, await host.agent.imageStream(image, 0, signal), signal);
  const now = await host.untilHello("the new agent answers", (hello) => hello.commit === commit, 60_000);
  assert.notEqual(now.pid, old.pid);
  const ended = (await host.agent.jobs()).find(({ id }) => id === running.id)!;
  assert.equal(ended.state, "succeeded", ended.error?.message ?? "");
  assert.equal(await host.sh(`cat /run/libvirt/qemu/${guest.name}.pid`), qemuPid);
  assert.ok((await host.libvirt.processes()).includes(Number(qemuPid)), "the guest was ended");
  const after = await eventually("the new agent knows the guest", async () => {
    for await (const event of host.agent.events(AbortSignal.timeout(5_000))) {
      if (event.type === "snapshot") return event.domains.find(({ id }) => id === guest.id);
    }
  });
  assert.equal(after.state, "running");
  assert.equal(await host.sh("ls -A /usr/local/bin"), "kvm-vdi");
});

Deno.test("an executable that is damaged, cut short or no program is refused, and the agent goes on", async () => {
  await using stand = await startHost();
  const { host, old, update } = stand;
  await assert.rejects(update({ sha256: "0".repeat(64) }), {
    code: "invalid",
    message: /damaged on its way/,
  });
  const text = join(host.libvirt.dir, "text");
  await Deno.writeTextFile(text, "#!/bin/sh\necho something else\n");
  const { size: length } = await Deno.stat(text);
  await assert.rejects(update({ path: text, sha256: (await sha256Of(text))!, length }), {
    code: "invalid",
    message: /does not run on this host/,
  });
  assert.deepEqual(await host.agent.hello(), old);
  assert.equal(await host.sh("ls -A /usr/local/bin"), "kvm-vdi");
  const guest = spec("guest");
  const made = await runJob(host, { kind: "create-machine", machine: guest, disk: { kind: "none" } });
  assert.equal(made.state, "succeeded", "it still takes jobs");
});

Deno.test("an agent that runs from its sources takes no executable", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "b1-" });
  const bytes = ReadableStream.from([new Uint8Array(10)]);
  await assert.rejects(hypervisor.agent.updateExecutable({ sha256: "0".repeat(64), bytes, length: 10 }), {
    code: "conflict",
    message: /runs from its sources/,
  });
});

Deno.test("under systemd an updated agent ends with success; in the dashboard's own service it refuses", async () => {
  await using stand = await startHost();
  const { host, old, update } = stand;
  await host.sh(`kill ${old.pid}`);
  await eventually("it has ended", async () => !(await host.libvirt.processes()).includes(old.pid));
  const start = (environment: string, ...flags: string[]) =>
    spawn([
      ...host.libvirt.enter,
      ...["sh", "-c", `${environment} exec ${installedPath} agent --domain-type qemu "$@"`, "sh", ...flags],
    ], { stdin: true });

  await using own = start("", "--exit-with-parent");
  await host.untilHello("it answers", ({ pid }) => pid === own.pid);
  await assert.rejects(update(), { code: "conflict", message: /belongs to the dashboard's own service/ });
  await own.closeStdin();
  await own.status;

  await using unit = start("SYSTEMD_EXEC_PID=$$");
  await host.untilHello("it answers", ({ pid }) => pid === unit.pid);
  await update();
  assert.deepEqual(await unit.status, { code: 0, signal: null });
  await assert.rejects(host.agent.hello(), { code: "unavailable" }, "somebody else than systemd started it");
});

/** A dashboard whose own executable is this one. */
async function startDashboardOf(path: string, agents: Record<string, FakeAgent>): Promise<TestDashboard> {
  Deno.env.set("KVM_VDI_EXECUTABLE", path);
  return await startTestDashboard({ agents });
}

Deno.test("update-agents brings one agent after another to the dashboard's own executable, and skips those that have it", async () => {
  await using stand = await startHost();
  const { host, old, commit, nextPath } = stand;
  await using away = new FakeAgent();
  await using own = new FakeAgent();
  own.facts = { ...own.facts, serviceManager: "dashboard" };
  await using board = await startDashboardOf(nextPath, { away, own });
  const socketPath = host.libvirt.path("/run/kvm-vdi/agent.sock");
  const { hypervisor } = await board.admin.call("createHypervisor", { body: { name: "real", socketPath } });
  await board.app.agents.untilUsable(hypervisor.id, AbortSignal.timeout(20_000));
  away.goOffline();
  await eventually("it is seen", () => !board.app.agents.status(board.hypervisorIds.away!).usable);

  const update = async (ids?: string[]) => {
    const body = ids && { hypervisorIds: ids };
    const { job } = await board.admin.call("updateAgents", { body });
    return await board.app.jobs.ended(job.id);
  };
  const all = await update();
  assert.equal(all.state, "failed");
  const messageOf = (name: string) => all.items.find((item) => item.name === name)!;
  assert.equal(messageOf("real").message, `${old.commit} → ${commit}`);
  assert.equal(messageOf("real").ok, true);
  assert.deepEqual([messageOf("away").ok, messageOf("away").message], [false, "the fake agent is offline."]);
  assert.match(messageOf("own").message!, /belongs to the dashboard's own service on that host/);
  const now = await host.agent.hello();
  assert.deepEqual([now.commit, now.pid === old.pid], [commit, false]);
  assert.equal(
    (await board.admin.call("getHypervisor", { id: hypervisor.id })).hypervisor.agentCommit,
    commit,
  );

  const again = await update([hypervisor.id]);
  assert.equal(again.state, "succeeded", again.error?.message ?? "");
  assert.match(again.items[0]!.message!, /is up to date/);
  assert.equal((await host.agent.hello()).pid, now.pid);
  await assert.rejects(update([crypto.randomUUID()]), { code: "not_found" });
});

Deno.test("update-agents says so when an agent is too old for it, or comes back as something else", async () => {
  await using ancient = new FakeAgent();
  await using stubborn = new FakeAgent({ updatedHello: { commit: "else", startedAt: 1 } });
  await using board = await startDashboardOf(packedExecutable, { ancient, stubborn });
  ancient.helloValues = { contract: 1 };
  ancient.restart();
  const id = board.hypervisorIds.ancient!;
  await eventually("it is seen", () => !board.app.agents.status(id).usable);
  const { hypervisor } = await board.admin.call("getHypervisor", { id });
  assert.equal(hypervisor.agentOutdated, true);
  const { job } = await board.admin.call("updateAgents", {});
  const { state, items } = await board.app.jobs.ended(job.id);
  assert.equal(state, "failed");
  assert.deepEqual(items.map(({ ok }) => ok), [false, false]);
  const [first, second] = items.map(({ message }) => message!);
  assert.match(
    first!,
    /too old to update itself \(contract 1\): install this dashboard's kvm-vdi on its host/,
  );
  assert.match(second!, /came back as else, not as/);
});
