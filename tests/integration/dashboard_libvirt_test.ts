/** The dashboard with a real agent on real libvirt: what an admin does first, and an agent that is killed. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { run } from "../../lib/process.ts";
import { SocketAgent } from "../../server/agents/socket_agent.ts";
import { startTestDashboard, type TestDashboard } from "../support/dashboard.ts";
import { TestHypervisor } from "../support/hypervisor.ts";
import { DashboardStand, refused } from "../support/machines_stand.ts";

const demoGuest = new URL("../../scripts/demo_guest", import.meta.url).pathname;
const prefix = "t-dash-";

/** A dashboard and the agent of this host; what was created is removed at the end, whatever happened. */
class RealStand extends DashboardStand {
  private constructor(
    dashboard: TestDashboard,
    readonly hypervisor: TestHypervisor,
    private readonly agent: SocketAgent,
  ) {
    super(dashboard);
  }

  static async start(): Promise<RealStand> {
    const hypervisor = await TestHypervisor.start({ prefix });
    const agent = new SocketAgent(hypervisor.socketPath);
    const stand = new RealStand(await startTestDashboard({ agents: { host: agent } }), hypervisor, agent);
    await stand.online();
    return stand;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const { items } = await this.api.call("listMachines", { query: { limit: 500 } });
    await super[Symbol.asyncDispose]();
    this.agent.close();
    const { virsh } = this.hypervisor;
    const left = new Set((await virsh("list", "--all", "--uuid")).split("\n"));
    for (const { id } of items.filter(({ id }) => left.has(id))) {
      await virsh("destroy", id).catch(() => "it was off");
      await virsh("undefine", id, "--nvram");
    }
    await this.hypervisor[Symbol.asyncDispose]();
  }
}

Deno.test("on libvirt: source, initial, clones, a boot, an agent that is killed, and all of it deleted", async () => {
  const diskPath = (await run([demoGuest])).stdout.trim().split("\n").at(-1)!.replace(/^.*: /, "");
  await using stand = await RealStand.start();
  const { api, hypervisor: { virsh } } = stand;
  const tag = `${prefix}${crypto.randomUUID().slice(0, 4)}`;

  const small = { memoryMiB: 192, vcpus: 1, network: "none" };
  const disk = { kind: "import", path: diskPath } as const;
  const [source] = await stand.create({ name: `${tag}-src`, role: "source", disk, ...small });
  assert.equal(source?.state, "shut-off");
  assert.ok(source?.diskBytes);
  const [initial] = await stand.create({
    name: `${tag}-img`,
    role: "initial",
    sourceId: source.id,
    copyDisk: true,
  });
  assert.equal(initial?.diskBytes, source.diskBytes);
  const vdis = await stand.create({
    name: `${tag}-{n}`,
    role: "vdi",
    sourceId: initial!.id,
    count: 3,
    populate: true,
  });
  assert.ok(vdis.every(({ populatedAt, outdated }) => populatedAt !== null && !outdated));
  const [desk] = vdis;
  const { items: [chain] } = await api.call("getMachineDisks", { id: desk!.id });
  assert.deepEqual(chain?.chain.map(({ kind }) => kind), ["overlay", "image"]);

  // A boot, its screen and its guest agent.
  await api.call("updateMachine", { id: desk!.id, body: { virtualSnapshot: true } });
  await api.call("powerMachine", { id: desk!.id, body: { action: "start" } });
  const booted = await stand.until(desk!.id, "booted", ({ guestAgent }) => guestAgent, 90_000);
  assert.equal(booted.state, "running");
  const screenshot = await api.fetch(`/api/machines/${desk!.id}/screenshot`);
  assert.equal(screenshot.status, 200);
  assert.deepEqual((await screenshot.bytes()).subarray(1, 4), new TextEncoder().encode("PNG"));

  // The agent is killed; the machine runs on, is stopped meanwhile, and the dashboard finds out by itself.
  await stand.hypervisor.killAgent();
  await stand.until(desk!.id, "was lost", ({ state }) => state === "unknown");
  await virsh("destroy", desk!.id);
  await stand.hypervisor.startAgent();
  const startedAt = performance.now();
  await stand.until(desk!.id, "was found again", ({ state }) => state === "shut-off");
  assert.ok(performance.now() - startedAt < 3_000, "within seconds of the agent");

  // Somebody else undefines a domain: the machine is missed, not forgotten.
  await virsh("undefine", vdis[2]!.id);
  const missed = await stand.until(vdis[2]!.id, "was missed", ({ state }) => state === "unknown");
  assert.match(missed.stateReason ?? "", /missing on the hypervisor/);

  // A new version lies beside the old one until it is published; what is missing waits.
  assert.equal((await stand.ended((await api.call("copyDisk", { id: initial!.id })).job)).state, "succeeded");
  assert.partialDeepStrictEqual(await stand.machine(desk!.id), {
    outdated: false,
    imageVersion: { number: 1 },
  });
  const { image: { versions: [draft] } } = await api.call("getImage", { id: initial!.id });
  assert.equal(draft?.state, "draft");
  const published = await stand.ended((await api.call("publishVersion", { id: draft.id })).job);
  assert.equal(published.state, "succeeded", published.error?.message ?? "");
  assert.partialDeepStrictEqual(await stand.machine(desk!.id), {
    outdated: false,
    imageVersion: { number: 2 },
  });
  const { image } = await api.call("getImage", { id: initial!.id });
  assert.deepEqual(image.rollout?.waiting.map(({ name, reason }) => [name, reason]), [
    [`${tag}-3`, "its domain is missing on the hypervisor"],
  ]);
  const [copy] = image.versions[0]!.copies;
  assert.equal((await Deno.stat(copy!.path)).mode! & 0o777, 0o444, "it is final");
  assert.equal(
    createHash("sha256").update(await Deno.readFile(copy!.path)).digest("hex"),
    image.versions[0]!.sha256,
  );
  await assert.rejects(
    api.call("powerMachine", { id: initial!.id, body: { action: "start" } }),
    refused("conflict", /version 2 of its image is sealed/),
  );

  const ids = [source.id, initial!.id, ...vdis.map(({ id }) => id)];
  const { job } = await api.call("bulkMachines", { body: { ids, action: "delete" } });
  const deleted = await stand.ended(job);
  assert.equal(deleted.state, "succeeded", JSON.stringify(deleted.items));
  assert.equal((await virsh("list", "--all", "--name")).includes(tag), false);
  assert.deepEqual(await stand.hypervisor.files(stand.hypervisor.imageDir), []);
});
