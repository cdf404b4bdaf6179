/** Copies that are cancelled, and processes that are killed at the worst time: nothing is lost, and all is right again soon. */
import assert from "node:assert/strict";
import { run } from "../../lib/process.ts";
import { isOpenJob } from "../../contracts/job.ts";
import { eventually } from "../support/eventually.ts";
import { type GoldenImage, makeGoldenImage, makePool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { type ApiUser, Stand, virsh } from "../support/stand.ts";

const recoveryMs = 10_000;
const started = new AsyncDisposableStack();
let stand: Stand;
let golden: GoldenImage;
let admin: ApiUser;

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-fail-" }));
  admin = await stand.admin();
  golden = await makeGoldenImage(stand, { vdis: 2 });
});
Deno.test.afterAll(() => started.disposeAsync());

/** Makes the source's disk large and full of noise, so that a copy of it takes some seconds. */
async function makeSourceLarge(gibibytes: number): Promise<void> {
  const path = await diskOf(golden.source.id);
  await run(["qemu-img", "resize", "-q", path, "8G"]);
  const writes = Array.from({ length: gibibytes }, (_, at) => ["-c", `write -q -P 0xa7 ${at + 1}G 1G`]);
  await run(["qemu-io", "-f", "qcow2", ...writes.flat(), path]);
}

const diskOf = async (id: string) => (await virsh("domblklist", id)).match(/vda\s+(\S+)/)![1]!;
const checksumOf = async (path: string) => (await run(["sha256sum", path])).stdout.split(" ")[0]!;
const partials = async () => (await stand.imageFiles()).filter((name) => name.includes("partial"));

/** Starts a copy and waits until it has written something. */
async function copyHalfWay(): Promise<{ id: string }> {
  const { job } = await admin.call("copyDisk", { id: golden.initial.id });
  await eventually("the copy writes", async () => {
    const { job: now } = await admin.call("getJob", { id: job.id });
    assert.ok(isOpenJob(now), `the copy must still go on, it is ${now.state}`);
    return now.done > 0;
  }, { everyMs: 20 });
  return job;
}

Deno.test("a copy that is cancelled half way leaves the old image and no partial file", async () => {
  await makeSourceLarge(2);
  const path = await diskOf(golden.initial.id);
  const before = await checksumOf(path);
  const job = await copyHalfWay();
  await admin.call("cancelJob", { id: job.id });
  assert.equal((await admin.ended(job)).state, "cancelled");
  assert.equal(await diskOf(golden.initial.id), path);
  assert.equal(await checksumOf(path), before);
  assert.deepEqual(await partials(), []);
});

Deno.test("a copy goes on when the dashboard is killed, and is picked up by its id", async () => {
  const before = await diskOf(golden.initial.id);
  const job = await copyHalfWay();
  const { dashboard } = await stand.pids();
  Deno.kill(dashboard, "SIGKILL");
  await stand.untilHealthy(recoveryMs);
  await admin.done(job, 120_000);
  assert.notEqual(await diskOf(golden.initial.id), before);
  assert.deepEqual(await partials(), []);
});

Deno.test("a copy whose agent is killed is interrupted, leaves the old image, and can be done again", async () => {
  const before = await diskOf(golden.initial.id);
  const checksum = await checksumOf(before);
  const job = await copyHalfWay();
  const { agent } = await stand.pids();
  Deno.kill(agent, "SIGKILL");
  const ended = await admin.ended(job, recoveryMs);
  assert.equal(ended.state, "interrupted");
  assert.equal(await diskOf(golden.initial.id), before);
  assert.equal(await checksumOf(before), checksum);
  await eventually("nothing partial is left", async () => (await partials()).length === 0, {
    timeoutMs: recoveryMs,
  });
  assert.equal(
    (await run(["pgrep", "-fc", `convert.*${stand.agentDir}`]).catch(() => ({ stdout: "0" }))).stdout.trim(),
    "0",
  );
  await admin.done((await admin.call("copyDisk", { id: golden.initial.id })).job, 120_000);
});

Deno.test("a disk in use is neither copied nor published, and the refusal names who holds it", async () => {
  await admin.call("powerMachine", { id: golden.source.id, body: { action: "start" } });
  await assert.rejects(
    admin.call("copyDisk", { id: golden.initial.id }),
    new RegExp(`conflict.*${golden.source.name}`),
  );
  await admin.call("powerMachine", { id: golden.source.id, body: { action: "destroy" } });
  await admin.inState(golden.source.id, "shut-off");
  // The copy of the tests before has no clones yet, so the initial may be customised; it is published when it is off.
  await admin.call("powerMachine", { id: golden.initial.id, body: { action: "start" } });
  const { image: { versions: [draft] } } = await admin.call("getImage", { id: golden.initial.id });
  await assert.rejects(
    admin.call("publishVersion", { id: draft!.id }),
    new RegExp(`conflict.*${golden.initial.name} is running`),
  );
  await admin.call("powerMachine", { id: golden.initial.id, body: { action: "destroy" } });
  await admin.inState(golden.initial.id, "shut-off");
  await admin.done((await admin.call("publishVersion", { id: draft!.id })).job);
});

Deno.test("desktops run on while the dashboard, the agent and libvirtd are restarted", async () => {
  const vdi = golden.vdis[0]!;
  const pool = await makePool(stand, "steady", golden.vdis.map(({ id }) => id), ["eve"]);
  const eve = await stand.signIn("eve", pool.password);
  const desktop = await stand.desktopReady(eve, pool.id);
  const machine = await admin.machine(desktop.machine!.id);
  const domid = await virsh("domid", machine.name);
  const stillHers = async () => {
    const { desktop: now } = await eve.call("getMyDesktop", { id: desktop.id });
    return now.state === "ready" && now.machine?.state === "running" && now.machine.id === machine.id;
  };
  const pids = await stand.pids();
  for (const pid of [pids.dashboard, pids.agent]) {
    Deno.kill(pid, "SIGKILL");
    await eventually("the desktop is shown as running", stillHers, { timeoutMs: recoveryMs });
    await eventually("the hypervisor is online", async () => {
      const { items } = await admin.call("listHypervisors");
      return items[0]?.state === "online";
    }, { timeoutMs: recoveryMs });
  }
  await restartLibvirtd();
  await eventually("the desktop is shown as running", stillHers, { timeoutMs: recoveryMs });
  await eventually("the agent follows libvirt again", async () => {
    await virsh("suspend", machine.name);
    return (await admin.machine(machine.id)).state === "paused";
  }, { timeoutMs: recoveryMs });
  await virsh("resume", machine.name);
  assert.equal(await virsh("domid", machine.name), domid);
  await guestOf(vdi.name).ready();
});

/** Restarts the libvirtd of this machine: through systemd, or by hand where there is none. */
async function restartLibvirtd(): Promise<void> {
  const pid = Number((await Deno.readTextFile("/run/libvirtd.pid")).trim());
  const argv = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").filter(Boolean);
  const managed = (await Deno.stat("/run/systemd/system").catch(() => null)) !== null;
  if (managed) return void await run(["systemctl", "restart", "libvirtd"]);
  Deno.kill(pid, "SIGTERM");
  await eventually("libvirtd has ended", async () => !await Deno.stat(`/proc/${pid}`).catch(() => null));
  await run(argv);
  await eventually("libvirtd answers", async () => !!await virsh("list", "--name").then(() => true));
}
