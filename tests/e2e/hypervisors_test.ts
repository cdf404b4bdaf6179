/** Hypervisors over SSH: enrolled, lost, cut off, drained, updated. Two real libvirts behind two real sshd. */
import assert from "node:assert/strict";
import { isOpenJob } from "../../contracts/job.ts";
import { run } from "../../lib/process.ts";
import { eventually } from "../support/eventually.ts";
import { ConsoleLink } from "../support/console_link.ts";
import { makePool } from "../support/golden_image.ts";
import { makeOtherExecutable } from "../support/executables.ts";
import { type ApiError, executable } from "../support/stand.ts";
import { remoteImageDir, TwoHosts } from "../support/two_hosts.ts";

const started = new AsyncDisposableStack();
let lab: TwoHosts;

Deno.test.beforeAll(async () => {
  lab = started.use(await TwoHosts.start("e2e-hv-"));
});
Deno.test.afterAll(() => started.disposeAsync());

const hypervisor = async (id: string) => (await lab.admin.call("getHypervisor", { id })).hypervisor;

Deno.test("a bare host becomes a hypervisor by a one-time password", async () => {
  const { admin, stand, hosts: [north, south] } = lab;
  const hostKey = await north.readHostKey(admin);
  assert.equal(hostKey.fingerprint, await north.fingerprint());

  const { hypervisor: added, job } = await admin.call("createHypervisor", {
    body: {
      name: "north",
      ssh: { address: north.address, port: north.port, hostKey },
      enrol: { username: north.setupUser, password: "not the password" },
    },
  });
  north.hypervisorId = added.id;
  const refused = await admin.ended(job!, 60_000);
  assert.equal(refused.state, "failed");
  assert.match(refused.error!.message, /password/i);
  assert.equal((await hypervisor(added.id)).state, "offline");

  const again = await admin.call("enrolHypervisor", {
    id: added.id,
    body: { username: north.setupUser, password: north.setupPassword },
  });
  const done = await admin.done(again.job, 120_000);
  assert.match(JSON.stringify(done), /systemd/, "without systemd the job says who must start the agent");
  const online = await north.untilState(admin, "online");
  assert.equal(online.agentOutdated, false);
  assert.match(await north.run("id", "kvm-vdi"), /groups=.*kvm-vdi/);
  assert.match(await north.run("stat", "-c", "%U %G %a", "/run/kvm-vdi/agent.sock"), /^root kvm-vdi 660$/);
  const [ours, theirs] = [
    await run(["sha256sum", "dist/kvm-vdi"]),
    await north.sha256("/usr/local/bin/kvm-vdi"),
  ];
  assert.equal(theirs, ours.stdout.split(" ")[0]);
  assert.equal((await north.pids("kvm-vdi agent")).length, 1);
  assert.equal(
    await north.sh(
      `find /tmp /home/${north.setupUser} -name '*kvm-vdi*' -newer /etc/hostname -type f -size +1M -user ${north.setupUser} | head`,
    ),
    "",
  );
  const kept = await run(["grep", "-rlF", north.setupPassword, stand.dir]).catch(() => ({ stdout: "" }));
  assert.equal(kept.stdout, "", "the password is kept nowhere");

  await south.enrol(admin);
  for (const { hypervisorId } of lab.hosts) {
    await admin.call("updateHypervisor", {
      id: hypervisorId,
      body: { settings: { domainType: "qemu" }, capacity: { memoryOvercommit: 4 } },
    });
    assert.equal((await hypervisor(hypervisorId)).facts?.domainType, "qemu");
  }
});

Deno.test("desktops are spread over both, from one image that is on both", async () => {
  await lab.makeDesktops(4);
  const [north, south] = lab.hosts;
  const per = Map.groupBy(lab.vdis, ({ hypervisorId }) => hypervisorId);
  assert.deepEqual(lab.hosts.map(({ hypervisorId }) => per.get(hypervisorId)?.length), [2, 2]);
  const bases = await Promise.all(lab.vdis.map((vdi) => lab.baseOf(vdi)));
  const { image } = await lab.admin.call("getImage", { id: lab.initial.id });
  const [version] = image.versions;
  assert.deepEqual(version?.copies.map(({ state }) => state), ["present", "present"]);
  const [one, two] = lab.hosts.map(({ hypervisorId }) =>
    version!.copies.find((copy) => copy.hypervisorId === hypervisorId)!.path
  );
  assert.deepEqual([...new Set(bases)].sort(), [...new Set([one!, two!])].sort());
  assert.equal(await south.sha256(two!), await north.sha256(one!), "streamed byte for byte");
  assert.equal(version!.sha256, await north.sha256(one!));
  const desktops = await Promise.all(
    lab.vdis.slice(0, 2).map(async (vdi) => {
      await lab.admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
      await lab.guest(vdi).ready();
      return vdi;
    }),
  );
  for (const vdi of desktops) {
    await lab.admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
  }
});

Deno.test("a console goes through the one SSH connection of its hypervisor", async () => {
  const { admin } = lab;
  const vdi = lab.vdis.find(({ hypervisorId }) => hypervisorId === lab.hosts[1].hypervisorId)!;
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await admin.inState(vdi.id, "running");
  assert.equal(await lab.hosts[1].sshd.connectionCount(), 1);
  const connection = await admin.call("openConsole", { id: vdi.id, query: {} });
  using display = await ConsoleLink.open(lab.stand, connection.webSocketPath);
  assert.equal(await display.firstBytes(), "REDQ", "QEMU's SPICE server answers");
  assert.equal(await lab.hosts[1].sshd.connectionCount(), 1);
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
});

Deno.test("another host key is refused with both fingerprints until an admin accepts it", async () => {
  const { admin, hosts: [, south] } = lab;
  const old = await south.fingerprint();
  await south.sshd.changeHostKey();
  const offline = await south.untilState(admin, "offline");
  const reason = await eventually("the reason names both keys", async () => {
    const { stateReason } = await hypervisor(offline.id);
    return stateReason?.includes(old) && stateReason;
  }, { timeoutMs: 30_000 });
  assert.ok(reason.includes(await south.fingerprint()), reason);
  await admin.call("updateHypervisor", {
    id: south.hypervisorId,
    body: { ssh: { hostKey: await south.readHostKey(admin) } },
  });
  await south.untilState(admin, "online");
});

Deno.test("a copy goes on while SSH is cut for 20 s, and its progress comes back", async () => {
  const { admin, hosts: [north] } = lab;
  const path = await lab.diskOf(lab.source);
  await north.run("qemu-img", "resize", "-q", path, "4G");
  await north.run(
    "qemu-io",
    "-f",
    "qcow2",
    "-c",
    "write -q -P 0xa7 1G 1G",
    "-c",
    "write -q -P 0xa8 2G 1G",
    path,
  );
  const { job } = await admin.call("copyDisk", { id: lab.initial.id });
  const now = async () => (await admin.call("getJob", { id: job.id })).job;
  const [qemuImg] = await eventually("qemu-img copies", async () => {
    const pids = await north.pids("qemu-img convert");
    return pids.length > 0 && pids;
  }, { everyMs: 20, timeoutMs: 20_000 });
  // Held back so that it is still at work when the connection comes back.
  Deno.kill(qemuImg!, "SIGSTOP");
  assert.ok(isOpenJob(await now()));
  await north.sshd.stop();
  await north.untilState(admin, "offline", 15_000);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const before = await now();
  assert.ok(isOpenJob(before), "the job waits for its hypervisor");
  await north.sshd.start();
  await north.untilState(admin, "online", 30_000);
  Deno.kill(qemuImg!, "SIGCONT");
  await eventually("progress goes on", async () => (await now()).done > before.done, { timeoutMs: 30_000 });
  await admin.done(job, 120_000);
  assert.equal((await north.pids("qemu-img")).length, 0);
  assert.equal(await north.sh(`ls ${remoteImageDir} | grep -c partial || true`), "0");
});

Deno.test("a peer that is frozen is noticed within 15 s", async () => {
  const { admin, hosts: [north] } = lab;
  await north.sshd.freezeHost();
  const from = Date.now();
  const seen = await north.untilState(admin, "offline", 20_000);
  assert.ok(Date.now() - from < 15_500, `noticed after ${Date.now() - from} ms`);
  assert.ok(seen.stateReason);
  await north.sshd.thaw();
  await north.untilState(admin, "online");
});

Deno.test("a user whose hypervisor is lost gets a desktop elsewhere, and the lost one is kept", async () => {
  const { admin, stand, hosts } = lab;
  const pool = await makePool(stand, "lab", lab.vdis.map(({ id }) => id), ["ann", "ben"]);
  const ann = await stand.signIn("ann", pool.password);
  const desktop = await stand.desktopReady(ann, pool.id);
  const first = await admin.machine(desktop.machine!.id);
  const lost = lab.hostOf(first);
  await lost.pullThePlug();
  await lost.untilState(admin, "offline", 20_000);
  const marked = await admin.inState(first.id, "unknown");
  assert.match(marked.stateReason ?? "", /offline/);

  const elsewhere = await eventually("ann gets another desktop", async () => {
    const { desktop: now } = await ann.call("getDesktop", { body: { desktopPoolId: pool.id } });
    return now.machine && now.machine.id !== first.id && now;
  }, { timeoutMs: 60_000, everyMs: 1000 });
  const second = await admin.machine(elsewhere.machine!.id);
  assert.notEqual(second.hypervisorId, first.hypervisorId);
  await eventually("it is ready", async () => {
    const { desktop: now } = await ann.call("getMyDesktop", { id: elsewhere.id });
    if (now.state === "failed") throw new Error(now.error?.message);
    return now.state === "ready";
  }, { timeoutMs: 90_000 });
  assert.equal((await admin.machine(first.id)).keptFor?.username, "ann");
  const { items } = await admin.call("listLeases", { query: { active: "false", machineId: first.id } });
  assert.match(items[0]?.endReason ?? "", /offline|lost/i);

  await lost.boot();
  await lost.untilState(admin, "online", 60_000);
  await admin.inState(first.id, "shut-off");
  const kept = await admin.machine(first.id);
  assert.equal(kept.keptFor?.username, "ann", "nobody else gets it");
  assert.ok(hosts.includes(lost));
  await ann.call("endMyDesktop", { id: elsewhere.id });
});

Deno.test("draining sends nobody away before the countdown, and leaves nothing running", async () => {
  const { admin, stand } = lab;
  const pool = (await admin.call("listDesktopPools", { query: {} })).items[0]!;
  const ben = await stand.signIn("ben", "pass phrase of a user");
  const desktop = await stand.desktopReady(ben, pool.id);
  const machine = await admin.machine(desktop.machine!.id);
  const { hypervisorId } = machine;
  await admin.call("updateHypervisor", {
    id: hypervisorId,
    body: { drain: { mode: "end", countdownSeconds: 8 } },
  });
  const warned = await eventually("ben is warned", async () => {
    const { desktop: now } = await ben.call("getMyDesktop", { id: desktop.id });
    return now.notice && now;
  });
  assert.equal(warned.state, "ready");
  assert.ok(warned.notice!.endsAt > Date.now());
  await eventually("the session has ended", async () => {
    const { desktop: now } = await ben.call("getMyDesktop", { id: desktop.id });
    return now.state === "ended";
  }, { timeoutMs: 30_000 });
  assert.ok(Date.now() >= warned.notice!.endsAt - 1000, "not before the countdown");
  await eventually("nothing of the pool runs there", async () => {
    const { drain } = await hypervisor(hypervisorId);
    return drain?.runningLeft === 0 && drain.sessionsLeft === 0;
  }, { timeoutMs: 150_000 });
  const host = lab.hostOf(machine);
  assert.equal((await host.virsh("list", "--name")).trim(), "");
  const given = await stand.desktopReady(ben, pool.id);
  assert.notEqual((await admin.machine(given.machine!.id)).hypervisorId, hypervisorId);
  await ben.call("endMyDesktop", { id: given.id });
  await admin.call("updateHypervisor", { id: hypervisorId, body: { maintenance: false } });
  assert.equal((await hypervisor(hypervisorId)).drain, null);
});

Deno.test("an agent of another release is shown, and updated under a running guest", async () => {
  const { admin, hosts: [, south] } = lab;
  const vdi = lab.vdis.find(({ hypervisorId }) => hypervisorId === south.hypervisorId)!;
  await admin.call("powerMachine", { id: vdi.id, body: { action: "start" } });
  await lab.guest(vdi).ready();
  const qemu = await south.pids(`guest=${vdi.name}`);
  assert.equal(qemu.length, 1);
  const other = `${lab.stand.dir}/kvm-vdi-other`;
  await makeOtherExecutable(other, "f");
  await south.run(other, "agent", "--install");
  await eventually("it is shown, and can be talked to", async () => {
    const { agentOutdated, state } = await hypervisor(south.hypervisorId);
    return agentOutdated && state === "online";
  }, { timeoutMs: 30_000 });
  const [outdated] = await south.pids("kvm-vdi agent");
  const { job } = await admin.call("updateAgents", { body: {} });
  const done = await admin.done(job, 120_000);
  assert.deepEqual(done.items.filter(({ ok }) => !ok), []);
  assert.equal((await hypervisor(south.hypervisorId)).agentOutdated, false);
  assert.equal(await south.sha256("/usr/local/bin/kvm-vdi"), await south.sha256(executable));
  assert.notEqual((await south.pids("kvm-vdi agent"))[0], outdated, "another process");
  assert.deepEqual(await south.pids(`guest=${vdi.name}`), qemu, "the guest's QEMU is the same");
  await lab.guest(vdi).ready();
  await admin.call("powerMachine", { id: vdi.id, body: { action: "destroy" } });
});

Deno.test("a hypervisor with machines is not removed, and says so", async () => {
  await assert.rejects(
    lab.admin.call("deleteHypervisor", { id: lab.hosts[0].hypervisorId }),
    (error: ApiError) => error.code === "conflict" && /machines/.test(error.message),
  );
});
