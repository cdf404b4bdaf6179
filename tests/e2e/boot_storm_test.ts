/** Many starts at once are paced, a waiting user comes first, and spares stand ready. Asserted with libvirt. */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { type GoldenImage, makeGoldenImage, makePool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { type ApiUser, Stand, virsh } from "../support/stand.ts";

const started = new AsyncDisposableStack();
let stand: Stand;
let admin: ApiUser;
let golden: GoldenImage;

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-storm-" }));
  admin = await stand.admin();
  golden = await makeGoldenImage(stand, { vdis: 4 });
  await admin.call("updateHypervisor", {
    id: golden.source.hypervisorId,
    body: { capacity: { maxStarting: 1, memoryOvercommit: 4, startCpuPercent: 100 } },
  });
});
Deno.test.afterAll(() => started.disposeAsync());

/** Our domains that run and whose guest agent has not connected yet, as libvirt has it. */
async function booting(): Promise<string[]> {
  const names = await running();
  const xml = await Promise.all(names.map((name) => virsh("dumpxml", name).catch(() => "")));
  return names.filter((_, at) => !/state='connected'/.test(xml[at]!));
}

const running = async () =>
  (await virsh("list", "--name")).split("\n").filter((name) => name.startsWith(stand.prefix));

async function switchAllOff(): Promise<void> {
  for (const { id } of golden.vdis) {
    await admin.call("powerMachine", { id, body: { action: "destroy" } }).catch(() => {});
    await admin.inState(id, "shut-off");
  }
}

Deno.test("a mass start boots one after the other, and a waiting user goes first", async () => {
  const pool = await makePool(stand, "storm", [golden.vdis[3]!.id], ["zoe"]);
  const zoe = await stand.signIn("zoe", pool.password);
  const mass = golden.vdis.slice(0, 3);
  const { job } = await admin.call("bulkMachines", {
    body: { ids: mass.map(({ id }) => id), action: "start" },
  });
  await eventually("the first boots", async () => (await running()).length === 1);
  const waiting = await Promise.all(mass.map(({ id }) => admin.machine(id)));
  assert.deepEqual(waiting.flatMap(({ queuedStart }) => queuedStart ?? []).sort(), [1, 2]);
  const { desktop } = await zoe.call("getDesktop", { body: { desktopPoolId: pool.id } });
  assert.equal(desktop.state, "preparing");
  const order: string[] = [];
  let most = 0;
  await eventually("all of them run", async () => {
    most = Math.max(most, (await booting()).length);
    for (const name of await running()) if (!order.includes(name)) order.push(name);
    return order.length === 4;
  }, { timeoutMs: 120_000, everyMs: 250 });
  assert.equal(most, 1, "one boots at a time");
  assert.equal(order.indexOf(golden.vdis[3]!.name), 1, `zoe's comes next: ${order.join(", ")}`);
  await admin.done(job, 60_000);
  const { items } = await zoe.call("listMyDesktops");
  await zoe.call("endMyDesktop", { id: items[0]!.id });
  await switchAllOff();
});

Deno.test("warm spares are started, and replaced when one is taken", async () => {
  const pool = await makePool(stand, "spares", golden.vdis.slice(0, 2).map(({ id }) => id), ["pia"]);
  const counts = async () => (await admin.call("getDesktopPool", { id: pool.id })).desktopPool.counts;
  assert.deepEqual(await running(), []);
  await admin.call("updateDesktopPool", { id: pool.id, body: { policy: { spares: 1 } } });
  await eventually("one spare stands ready", async () => (await counts()).spares === 1, {
    timeoutMs: 60_000,
  });
  assert.equal((await running()).length, 1);
  const [spare] = await running();
  await guestOf(spare!).ready();
  const pia = await stand.signIn("pia", pool.password);
  const { desktop } = await pia.call("getDesktop", { body: { desktopPoolId: pool.id } });
  assert.equal(desktop.state, "ready", "she does not wait");
  assert.equal(desktop.machine?.name, spare);
  await eventually("another stands ready", async () => (await counts()).spares === 1, { timeoutMs: 60_000 });
  assert.equal((await running()).length, 2);
  await pia.call("endMyDesktop", { id: desktop.id });
});
