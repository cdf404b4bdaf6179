/** A dashboard installs its agent on a bare host: a real sshd, real sudo, and nothing of KVM-VDI there before. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { BodyOf } from "../../contracts/api.ts";
import type { Job } from "../../contracts/job.ts";
import { run } from "../../lib/process.ts";
import { BareHost, installedPath } from "../support/bare_host.ts";
import { startTestDashboard, type TestDashboard } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { makeOtherExecutable, packedExecutable } from "../support/executables.ts";
import { Sshd, type SshdOptions } from "../support/sshd.ts";

Deno.env.set("KVM_VDI_EXECUTABLE", packedExecutable);

type Credentials = BodyOf<"enrolHypervisor">;

class EnrolStand implements AsyncDisposable {
  id = "";
  private constructor(
    readonly host: BareHost,
    readonly sshd: Sshd,
    public board: TestDashboard,
    private readonly stack: AsyncDisposableStack,
  ) {}

  static async start(config: SshdOptions["config"] = []): Promise<EnrolStand> {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(await BareHost.start());
    // The real thing is strict: whoever may write a file below a home can let others in.
    const options = { enter: host.libvirt.enter, passwords: true, config: ["StrictModes yes", ...config] };
    const sshd = stack.use(await Sshd.start(options));
    const dataDir = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
    stack.defer(() => Deno.remove(dataDir, { recursive: true }));
    const board = await startTestDashboard({ dataDir });
    return new EnrolStand(host, sshd, board, stack.move());
  }

  /** Makes an account with a password; returns that. */
  async addAccount(username: string, sudo: "ALL" | "NOPASSWD: ALL" | null): Promise<string> {
    const password = crypto.randomUUID();
    await this.host.run("useradd", "--create-home", "--shell", "/bin/bash", username);
    const file = join(this.host.libvirt.dir, "password");
    await Deno.writeTextFile(file, `${username}:${password}`, { mode: 0o600 });
    await this.host.sh(`chpasswd < ${file}; rm ${file}`);
    if (sudo) await this.host.sh(`echo '${username} ALL=(ALL) ${sudo}' > /etc/sudoers.d/${username}`);
    return password;
  }

  /** Adds the hypervisor with an enrolment, and waits until that has ended. */
  async enrol(credentials: Credentials): Promise<Job> {
    const { admin, app } = this.board;
    const ssh = await this.sshd.target("kvm-vdi");
    const body = { name: "north", ssh, enrol: credentials };
    const { hypervisor, job } = await admin.call("createHypervisor", { body });
    this.id = hypervisor.id;
    return await app.jobs.ended(job!.id);
  }

  async enrolAgain(credentials: Credentials): Promise<Job> {
    const { job } = await this.board.admin.call("enrolHypervisor", { id: this.id, body: credentials });
    return await this.board.app.jobs.ended(job.id);
  }

  hypervisor = async () => (await this.board.admin.call("getHypervisor", { id: this.id })).hypervisor;

  /** Nothing but the account's own files may be left. */
  leftovers = (username: string): Promise<string> =>
    this.host.sh(`find /home/${username} /tmp /var/tmp -maxdepth 1 -name '.kvm-vdi-*' -user ${username}`);

  async [Symbol.asyncDispose](): Promise<void> {
    await this.board[Symbol.asyncDispose]();
    await this.stack.disposeAsync();
  }
}

function requireSuccess(job: Job): void {
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
}

Deno.test("enrolment with a password makes a bare host an online hypervisor, without systemd too", async () => {
  await using stand = await EnrolStand.start();
  const { host, board } = stand;
  const password = await stand.addAccount("setup", "ALL");
  const job = await stand.enrol({ username: "setup", password });
  requireSuccess(job);
  assert.match(job.items[0]!.message!, /systemd is not running here: the agent was started as a process/);

  const hypervisor = await stand.hypervisor();
  assert.equal(hypervisor.state, "online", hypervisor.stateReason ?? "");
  assert.equal(hypervisor.ssh?.username, "kvm-vdi");
  assert.equal(hypervisor.facts?.serviceManager, "none");
  const { pid } = await host.agent.hello();
  assert.equal(await host.run("readlink", `/proc/${pid}/exe`), installedPath);
  assert.equal(await stand.leftovers("setup"), "");
  assert.equal(await stand.sshd.connectionCount(), 1, "only the unprivileged account stays connected");

  const [key] = board.app.ownKeys.list();
  assert.equal(
    await host.readFile("/var/lib/kvm-vdi/home/.ssh/authorized_keys"),
    `restrict,port-forwarding ${key!.publicKey}\n`,
  );
  const { items } = await eventually("the audit has it", async () => {
    const page = await board.admin.call("listAudit", { query: { limit: 50 } });
    return page.items.some(({ action }) => action === "hypervisor.enrol") && page;
  });
  const entry = items.find(({ action }) => action === "hypervisor.enrol")!;
  assert.deepEqual([entry.outcome, entry.detail], ["ok", "by setup@127.0.0.1"]);
  const row = await board.app.db.selectFrom("hypervisors").selectAll().executeTakeFirstOrThrow();
  assert.ok(row.enrolled_at! > 0);
  const kept = await run(["grep", "-rlaF", password, board.dataDir]).then(({ stdout }) => stdout, () => "");
  assert.equal(kept, "", "the password was written down");
  assert.equal(await host.sh(`grep -rlaF ${password} /var/log /tmp/kvm-vdi-* 2>/dev/null || :`), "");
});

Deno.test("enrolment again brings a newer executable, and copies none that is there already", async () => {
  await using stand = await EnrolStand.start();
  const password = await stand.addAccount("setup", "NOPASSWD: ALL");
  const old = join(stand.host.libvirt.dir, "old");
  const oldCommit = await makeOtherExecutable(old, "a");
  await stand.host.install([], old);
  assert.equal((await stand.host.agent.hello()).commit, oldCommit);
  const stages: string[] = [];
  stand.board.app.bus.subscribe((change) => {
    if (change.type === "job") stages.push(change.job.stage);
  });
  requireSuccess(await stand.enrol({ username: "setup", password }));
  const { pid, commit } = await stand.host.agent.hello();
  assert.notEqual(commit, oldCommit);
  assert.ok(stages.includes("Copying the executable"), stages.join(" | "));

  stages.length = 0;
  requireSuccess(await stand.enrolAgain({ username: "setup", password }));
  assert.ok(!stages.includes("Copying the executable"), stages.join(" | "));
  assert.equal((await stand.host.agent.hello()).pid, pid, "the agent was started again for nothing");
});

Deno.test("enrolment with a private key asks sudo with its own password, and root needs none", async () => {
  await using stand = await EnrolStand.start();
  const { host, sshd } = stand;
  const sudoPassword = await stand.addAccount("setup", "ALL");
  const file = join(host.libvirt.dir, "key");
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", file]);
  const privateKey = await Deno.readTextFile(file);
  // The directory that Sshd keeps them in is not good enough for StrictModes.
  for (const [username, home] of [["setup", "/home/setup"], ["root", "/home/root"]] as const) {
    await host.sh(`mkdir -p ${home}/.ssh; cp ${file}.pub ${home}/.ssh/authorized_keys
      chown -R ${username} ${home}; chmod 700 ${home} ${home}/.ssh`);
  }
  await host.sh("usermod --home /home/root root 2>/dev/null || sed -i 's#:/root:#:/home/root:#' /etc/passwd");
  const username = "setup";
  const passphrase = "open sesame";
  await assert.rejects(stand.enrol({ username, privateKey }), /passphrase is needed for this private key/);
  await assert.rejects(stand.enrol({ username, privateKey: "nonsense" }), /privateKey is not a private key/);

  const first = await stand.enrol({ username, privateKey, passphrase });
  assert.equal(first.state, "failed");
  assert.match(first.error!.message, /north was not enrolled: sudo on 127.0.0.1 asks setup for a password/);
  assert.equal(sshd.log().includes(sudoPassword), false);
  requireSuccess(await stand.enrolAgain({ username, privateKey, passphrase, sudoPassword }));
  assert.equal((await stand.hypervisor()).state, "online");
  requireSuccess(await stand.enrolAgain({ username: "root", privateKey, passphrase }));
});

Deno.test("enrolment answers sshd's questions where it asks for the password itself", async () => {
  await using stand = await EnrolStand.start([
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication yes",
  ]);
  const password = await stand.addAccount("setup", "ALL");
  requireSuccess(await stand.enrol({ username: "setup", password }));
});

Deno.test("a wrong password, an account without sudo or without a shell fail with a remedy and leave nothing", async () => {
  await using stand = await EnrolStand.start();
  const { host } = stand;
  const password = await stand.addAccount("setup", "ALL");
  const plainPassword = await stand.addAccount("plain", null);
  const wrong = crypto.randomUUID();

  const refused = await stand.enrol({ username: "setup", password: wrong });
  assert.equal(refused.state, "failed");
  assert.match(
    refused.error!.message,
    /north was not enrolled: 127.0.0.1 does not let the account setup in\. Check/,
  );
  assert.ok(!JSON.stringify(refused).includes(wrong));
  const hypervisor = await stand.hypervisor();
  assert.equal(hypervisor.state, "offline");
  assert.match(hypervisor.stateReason!, /does not let the account kvm-vdi in/);

  const plain = await stand.enrolAgain({ username: "plain", password: plainPassword });
  assert.match(plain.error!.message, /the account plain may not use sudo on 127.0.0.1\. Allow it there/);
  const badSudo = await stand.enrolAgain({ username: "setup", password, sudoPassword: wrong });
  assert.match(badSudo.error!.message, /sudo on 127.0.0.1 does not accept the password of setup/);
  await host.run("usermod", "--shell", "/usr/sbin/nologin", "plain");
  const noShell = await stand.enrolAgain({ username: "plain", password: plainPassword });
  assert.match(noShell.error!.message, /the account plain has no usable shell/);
  assert.equal(await host.sh("ls -A /usr/local/bin; getent passwd kvm-vdi || :"), "");

  requireSuccess(await stand.enrolAgain({ username: "setup", password }));
  assert.equal((await stand.hypervisor()).state, "online");
});

Deno.test("enrolment gives no password to a host with another key", async () => {
  await using stand = await EnrolStand.start();
  const password = await stand.addAccount("setup", "ALL");
  const expected = await stand.sshd.fingerprint();
  const ssh = await stand.sshd.target("kvm-vdi");
  await stand.sshd.changeHostKey();
  const body = { name: "north", ssh, enrol: { username: "setup", password } };
  const { job } = await stand.board.admin.call("createHypervisor", { body });
  const { state, error } = await stand.board.app.jobs.ended(job!.id);
  assert.equal(state, "failed");
  assert.match(error!.message, /the host key of .* has changed/);
  assert.ok(error!.message.includes(expected) && error!.message.includes(await stand.sshd.fingerprint()));
  assert.doesNotMatch(stand.sshd.log(), /setup/);
});

Deno.test("an enrolment that is cancelled while it copies leaves no file behind", async () => {
  await using stand = await EnrolStand.start();
  const password = await stand.addAccount("setup", "ALL");
  const { app } = stand.board;
  const copying = Promise.withResolvers<string>();
  app.bus.subscribe((change) => {
    if (change.type === "job" && change.job.unit === "bytes") copying.resolve(change.job.id);
  });
  const ended = stand.enrol({ username: "setup", password });
  await app.jobs.cancel(await copying.promise);
  assert.equal((await ended).state, "cancelled");
  await eventually("nothing is left", async () => await stand.leftovers("setup") === "");
  assert.equal(await stand.host.sh("ls -A /usr/local/bin"), "");
});

Deno.test("an enrolment that a restart of the dashboard meets is interrupted and says what to do", async () => {
  await using stand = await EnrolStand.start();
  const password = await stand.addAccount("setup", "ALL");
  const { app, admin } = stand.board;
  const copying = Promise.withResolvers<string>();
  app.bus.subscribe((change) => {
    if (change.type === "job" && change.job.unit === "bytes") copying.resolve(change.job.id);
  });
  const body = {
    name: "north",
    ssh: await stand.sshd.target("kvm-vdi"),
    enrol: { username: "setup", password },
  };
  const { hypervisor } = await admin.call("createHypervisor", { body });
  stand.id = hypervisor.id;
  const id = await copying.promise;
  stand.board = await stand.board.restart();
  const { state, error } = await stand.board.app.jobs.get(id);
  assert.equal(state, "interrupted");
  assert.match(error!.message, /has forgotten the password or key.* Enrol the hypervisor again/);
  requireSuccess(await stand.enrolAgain({ username: "setup", password }));
});

Deno.test("enrolment is refused where it cannot work, before anything is done", async () => {
  await using board = await startTestDashboard();
  const hostKey = { algorithm: "ssh-ed25519", key: "AAAA" };
  const enrol = { username: "root", password: "x" };
  const ssh = { address: "127.0.0.1", port: 1, username: "somebody", hostKey };
  await assert.rejects(board.admin.call("createHypervisor", { body: { name: "north", ssh, enrol } }), {
    code: "invalid",
    message: /ssh.username: must be kvm-vdi/,
  });
  Deno.env.delete("KVM_VDI_EXECUTABLE");
  try {
    const body = { name: "north", ssh: { ...ssh, username: "kvm-vdi" }, enrol };
    await assert.rejects(board.admin.call("createHypervisor", { body }), {
      code: "conflict",
      message: /runs from its sources/,
    });
  } finally {
    Deno.env.set("KVM_VDI_EXECUTABLE", packedExecutable);
  }
  assert.deepEqual((await board.admin.call("listHypervisors", { query: {} })).items, []);
});
