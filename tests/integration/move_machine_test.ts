/** Machines moved and copied between two real agents on two libvirts: over storage that both see, and as a stream. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { run } from "../../lib/process.ts";
import { startTestDashboard } from "../support/dashboard.ts";
import { TestHypervisor } from "../support/hypervisor.ts";
import { DashboardStand } from "../support/machines_stand.ts";
import { OwnLibvirt } from "../support/own_libvirt.ts";

const MiB = 2 ** 20;
const prefix = "t-mov-";

/** Two hypervisors; unless they share storage, the second cannot see the first one's files. */
async function startTwoHosts({ shared }: { shared: boolean }) {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await TestHypervisor.start({ prefix }));
  const libvirt = stack.use(await OwnLibvirt.start());
  if (!shared) await run([...libvirt.enter, "mount", "-t", "tmpfs", "none", host.dir]);
  const other = stack.use(await TestHypervisor.start({ prefix, enter: libvirt.enter }));
  stack.defer(async () => {
    const names = (await host.virsh("list", "--all", "--name")).split("\n");
    for (const name of names.filter((name) => name.startsWith(prefix))) await host.virsh("undefine", name);
  });
  const dashboard = await startTestDashboard({ agents: { host: host.agent, other: other.agent } });
  const stand = stack.use(new DashboardStand(dashboard));
  await stand.online();
  const otherId = dashboard.hypervisorIds["other"]!;
  await dashboard.app.agents.untilUsable(otherId, AbortSignal.timeout(20_000));
  const kept = stack.move();
  return { stand, host, other, otherId, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const diskOf = async ({ virsh }: TestHypervisor, name: string, target = "vda"): Promise<string> =>
  new RegExp(`${target}\\s+(\\S+)`).exec(await virsh("domblklist", name))![1]!;

async function sameContents(a: string, b: string): Promise<boolean> {
  return await run(["qemu-img", "compare", "-U", a, b]).then(() => true, () => false);
}

for (const shared of [true, false]) {
  const how = shared ? "over shared storage" : "as a stream";
  Deno.test(`machines move and are copied to another hypervisor ${how}, with what they hold`, async () => {
    await using hosts = await startTwoHosts({ shared });
    const { stand, host, other, otherId } = hosts;
    const { api, hypervisorId } = stand;
    const tag = `${prefix}${crypto.randomUUID().slice(0, 4)}`;
    const noise = join(host.dir, "noise.raw");
    await Deno.writeFile(noise, crypto.getRandomValues(new Uint8Array(65_536)));
    await Deno.truncate(noise, 8 * MiB);
    const small = { hypervisorId, vcpus: 1, memoryMiB: 64, network: "none" };
    const [source] = await stand.create({
      ...small,
      name: `${tag}-src`,
      role: "source",
      disk: { kind: "import", path: noise },
    });
    const [initial] = await stand.create({
      ...small,
      name: `${tag}-img`,
      role: "initial",
      sourceId: source!.id,
      copyDisk: true,
    });
    const [vdi] = await stand.create({
      ...small,
      name: `${tag}-vdi`,
      role: "vdi",
      sourceId: initial!.id,
      populate: true,
    });
    const overlay = await diskOf(host, vdi!.name);
    await run(["qemu-io", "-c", "write -P 9 1M 64k", overlay]);
    const expected = join(host.dir, "expected.qcow2");
    await run(["qemu-img", "convert", "-O", "qcow2", overlay, expected]);
    await api.call("putDataDisk", { id: vdi!.id, body: { bytes: 16 * MiB } });
    await run(["qemu-io", "-c", "write -P 5 0 4k", await diskOf(host, vdi!.name, "vdb")]);

    const { job: copying, machine: copy } = await api.call("copyMachine", {
      id: source!.id,
      body: { hypervisorId: otherId, name: `${tag}-cpy` },
    });
    const copied = await stand.ended(copying);
    assert.equal(copied.state, "succeeded", copied.error?.message ?? "");
    assert.ok(await sameContents(await diskOf(other, copy.name), noise));

    const { job } = await api.call("moveMachine", { id: vdi!.id, body: { hypervisorId: otherId } });
    const moved = await stand.ended(job);
    assert.equal(moved.state, "succeeded", moved.error?.message ?? "");
    const now = await diskOf(other, vdi!.name);
    assert.ok(now.startsWith(other.imageDir));
    assert.ok(await sameContents(now, expected));
    const { stdout } = await run(["qemu-img", "info", "--output=json", now]);
    assert.ok(
      JSON.parse(stdout)["full-backing-filename"].startsWith(other.imageDir),
      "it lies on a copy there",
    );
    const dataDisk = await diskOf(other, vdi!.name, "vdb");
    await run(["qemu-io", "-r", "-c", "read -P 5 0 4k", dataDisk]);
    assert.ok(!(await host.virsh("list", "--all", "--name")).includes(vdi!.name));
    const { files } = await api.call("getStorage", { id: hypervisorId });
    assert.deepEqual(
      files.map(({ kind }) => kind).sort(),
      ["disk", "version"],
      "nothing of it is left where it was",
    );
  });
}
