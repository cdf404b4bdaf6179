/** What desktops keep and what they lose, asserted inside real guests. */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { guestOf } from "../support/guest.ts";
import { ApiError, Stand, virsh } from "../support/stand.ts";
import { type GoldenImage, makeGoldenImage, makePool } from "../support/golden_image.ts";

const started = new AsyncDisposableStack();
let stand: Stand;
let golden: GoldenImage;

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-persist-" }));
  golden = await makeGoldenImage(stand, { vdis: 2 });
});
Deno.test.afterAll(() => started.disposeAsync());

Deno.test("a vdi keeps what was written over power off while virtual snapshot is off", async () => {
  const admin = await stand.admin();
  const [vdi] = golden.vdis;
  const guest = guestOf(vdi!.name);
  await admin.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  await guest.ready();
  await guest.writeFile("/data/note", "kept");
  await admin.call("powerMachine", { id: vdi!.id, body: { action: "shutdown" } });
  await admin.inState(vdi!.id, "shut-off");
  await admin.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  await guest.ready();
  assert.equal(await guest.readFile("/data/note"), "kept");
  assert.equal(await guest.bootCount(), 2);
  await admin.call("powerMachine", { id: vdi!.id, body: { action: "destroy" } });
});

Deno.test("a vdi with virtual snapshot loses what was written at power off and at a guest reboot", async () => {
  const admin = await stand.admin();
  const vdi = golden.vdis[1]!;
  const guest = guestOf(vdi.name);
  await admin.call("updateMachine", { id: vdi.id, body: { virtualSnapshot: true } });
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guest.ready();
  await guest.writeFile("/data/note", "lost");
  assert.match(await virsh("domblklist", vdi.name), /scratch/);

  const before = await virsh("domid", vdi.name);
  await guest.exec(["/bin/sh", "-c", "(sleep 0.3; /bin/reboot) >/dev/null 2>&1 &"]);
  await stand.untilDomainIdChanges(vdi.name, before);
  await guest.ready();
  await assert.rejects(guest.readFile("/data/note"), /No such file/);
  assert.equal(await guest.bootCount(), 1);

  await guest.writeFile("/data/note", "lost too");
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
  await admin.inState(vdi.id, "shut-off");
  await eventually("the scratch overlay is dropped", async () => (await stand.scratchFiles()).length === 0);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await guest.ready();
  await assert.rejects(guest.readFile("/data/note"), /No such file/);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
  await admin.inState(vdi.id, "shut-off");
  await eventually("the scratch overlay is dropped", async () => (await stand.scratchFiles()).length === 0);
});

Deno.test("a desktop with virtual snapshot comes back clean for the next user", async () => {
  const admin = await stand.admin();
  const vdi = golden.vdis[1]!;
  const pool = await makePool(stand, "clean", [vdi.id], ["ann", "ben"]);
  const ann = await stand.signIn("ann", pool.password);
  const desktop = await stand.desktopReady(ann, pool.id);
  await guestOf(vdi.name).writeFile("/data/note", "ann's secret");
  await ann.call("endMyDesktop", { id: desktop.id });
  const ben = await stand.signIn("ben", pool.password);
  await stand.untilFree(admin, pool.id);
  await stand.desktopReady(ben, pool.id);
  await assert.rejects(guestOf(vdi.name).readFile("/data/note"), /No such file/);
});

Deno.test("a machine in maintenance is not given, and a full pool refuses politely", async () => {
  const admin = await stand.admin();
  const vdi = golden.vdis[0]!;
  const pool = await makePool(stand, "small", [vdi.id], ["cid", "dan"]);
  const cid = await stand.signIn("cid", pool.password);
  const dan = await stand.signIn("dan", pool.password);
  await admin.call("updateMachine", { id: vdi.id, body: { maintenance: true } });
  await assert.rejects(
    cid.call("getDesktop", { body: { desktopPoolId: pool.id } }),
    (error: ApiError) => error.code === "no_capacity" && /1 in maintenance/.test(error.message),
  );
  await admin.call("updateMachine", { id: vdi.id, body: { maintenance: false } });
  const { desktop } = await cid.call("getDesktop", { body: { desktopPoolId: pool.id } });
  await assert.rejects(
    dan.call("getDesktop", { body: { desktopPoolId: pool.id } }),
    (error: ApiError) => error.code === "no_capacity" && /in use|being prepared/.test(error.message),
  );
  const again = await (await stand.signIn("cid", pool.password)).call("getDesktop", {
    body: { desktopPoolId: pool.id },
  });
  assert.equal(again.desktop.id, desktop.id, "from another device the user gets his own desktop again");
});
