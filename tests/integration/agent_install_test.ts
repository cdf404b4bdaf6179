import assert from "node:assert/strict";
import { join } from "node:path";
import { requirePackages } from "../../agent/install/packages.ts";
import { ProcessError, run, spawn } from "../../lib/process.ts";
import { selfCommand } from "../../lib/version.ts";
import { BareHost, installedPath } from "../support/bare_host.ts";
import { eventually } from "../support/eventually.ts";
import { makeOtherExecutable, packedExecutable } from "../support/executables.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJVrMGUyGuPgNMZ0oiHxy3zOFyuWpUhlX1N2HlOt7zD kvm-vdi@one";
const otherKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUyl1fXVDBZJvJnjZCqiE1oQr2hO0sjQoCXTbDPhkCF kvm-vdi@two";
const keysFile = "/var/lib/kvm-vdi/home/.ssh/authorized_keys";
const configFile = "/etc/kvm-vdi/agent.toml";

Deno.test("agent --install without systemd makes everything, starts the agent, and says that it is on its own", async () => {
  await using host = await BareHost.start();
  const said = await host.install(["--authorized-key", key]);
  assert.match(
    said,
    /systemd is not running here: the agent was started as a process and will not come back/,
  );
  const { pid } = await host.agent.hello();
  assert.equal(await host.run("readlink", `/proc/${pid}/exe`), installedPath);
  assert.equal(await host.run("stat", "-c", "%U:%G %a", "/run/kvm-vdi/agent.sock"), "root:kvm-vdi 660");
  assert.equal(await host.readFile(keysFile), `restrict,port-forwarding ${key}\n`);
  const home = "/var/lib/kvm-vdi/home";
  assert.match(await host.run("getent", "passwd", "kvm-vdi"), new RegExp(`:${home}:/usr/sbin/nologin$`));
  assert.equal(
    await host.run("stat", "-c", "%U %a", keysFile),
    "root 644",
    "the account cannot let others in",
  );
  assert.match(await host.readFile(configFile), /^domain-type = "qemu"$/m);
  const snapshot = await host.agent.events(AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next();
  assert.equal(snapshot.value.facts.serviceManager, "none");
  assert.equal(snapshot.value.facts.settings.domainType, "qemu");
});

Deno.test("agent --install again changes nothing; with something new it adds that and starts the agent again", async () => {
  await using host = await BareHost.start();
  await host.install(["--authorized-key", key]);
  const first = await host.agent.hello();
  await host.run("sh", "-c", `echo 'log-level = "debug"' >> ${configFile}`);
  await host.install(["--authorized-key", key]);
  assert.equal((await host.agent.hello()).pid, first.pid, "it was started again for nothing");
  assert.equal((await host.readFile(keysFile)).split("\n").length, 2);

  await host.install(["--authorized-key", otherKey, "--image-dir", "/var/lib/kvm-vdi/elsewhere"]);
  const second = await host.agent.hello();
  assert.notEqual(second.pid, first.pid);
  assert.deepEqual(
    (await host.readFile(keysFile)).trim().split("\n"),
    [`restrict,port-forwarding ${key}`, `restrict,port-forwarding ${otherKey}`],
  );
  const config = await host.readFile(configFile);
  assert.match(config, /^log-level = "debug"$/m, "what an admin has set stays");
  assert.match(config, /^image-dir = "\/var\/lib\/kvm-vdi\/elsewhere"$/m);

  const other = join(host.libvirt.dir, "other");
  const commit = await makeOtherExecutable(other, "d");
  await host.install([], other);
  assert.equal((await host.agent.hello()).commit, commit);
  assert.equal(await host.sh("ls -A /usr/local/bin"), "kvm-vdi", "something was left behind");
});

/** Notes what it is asked for, and starts and ends the agent as systemd would. */
const fakeSystemctl = `#!/bin/sh
echo "$*" >> /run/systemctl.log
case "$1" in
  is-active) [ -e /run/unit.pid ] && kill -0 "$(cat /run/unit.pid)" 2>/dev/null || exit 3 ;;
  restart) if [ -e /run/unit.pid ]; then kill "$(cat /run/unit.pid)"; sleep 1; fi
    SYSTEMD_EXEC_PID=yes setsid sh -c 'echo $$ > /run/unit.pid; SYSTEMD_EXEC_PID=$$ exec ${installedPath} agent' \\
      >/dev/null 2>&1 </dev/null & sleep 0.2 ;;
  disable) kill "$(cat /run/unit.pid)"; rm /run/unit.pid ;;
esac
`;

Deno.test("agent --install with systemd writes a sound unit and has it started; --uninstall removes both", async () => {
  await using host = await BareHost.start();
  await host.sh("mkdir -p /run/systemd/system");
  await Deno.writeTextFile(host.libvirt.path("/usr/local/bin/systemctl"), fakeSystemctl, { mode: 0o755 });
  const said = await host.install();
  assert.match(said, /kvm-vdi-agent.service runs and starts at every boot/);
  const unit = "/etc/systemd/system/kvm-vdi-agent.service";
  assert.match(await host.readFile(unit), /^ExecStart=\/usr\/local\/bin\/kvm-vdi agent$/m);
  assert.match(await host.readFile(unit), /^Restart=always$/m);
  assert.match(await host.readFile(unit), /^KillMode=mixed$/m);
  assert.doesNotMatch(await host.readFile(unit), /PrivateDevices|ProtectClock|DevicePolicy|DeviceAllow/);
  await host.run("systemd-analyze", "verify", unit);
  const calls = async () => (await host.readFile("/run/systemctl.log")).trim().split("\n");
  assert.deepEqual(await calls(), [
    ...["daemon-reload", "enable kvm-vdi-agent.service"],
    ...["is-active --quiet kvm-vdi-agent.service", "restart kvm-vdi-agent.service"],
  ]);
  const snapshot = await host.agent.events(AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next();
  assert.equal(snapshot.value.facts.serviceManager, "systemd");

  await host.install();
  assert.ok((await calls()).at(-1)!.startsWith("is-active"), "it was restarted for nothing");
  await host.run(installedPath, "agent", "--uninstall");
  await assert.rejects(host.agent.hello());
  await host.run("test", "!", "-e", unit);
  await host.run("test", "!", "-e", installedPath);
  await host.run("test", "-d", "/var/lib/kvm-vdi/images");
});

Deno.test("agent --uninstall ends an agent that runs as a process", async () => {
  await using host = await BareHost.start();
  await host.install();
  const { pid } = await host.agent.hello();
  await host.run(installedPath, "agent", "--uninstall");
  await eventually("the agent is gone", async () => !(await host.libvirt.processes()).includes(pid));
  await host.run("test", "!", "-e", installedPath);
});

Deno.test("agent --install leaves an agent of the dashboard's own service alone", async () => {
  await using host = await BareHost.start();
  const flags = ["agent", "--domain-type", "qemu", "--exit-with-parent"];
  await using agent = spawn([...host.libvirt.enter, packedExecutable, ...flags], { stdin: true });
  const { pid } = await host.untilHello("the agent answers", () => true);
  const { code, stderr } = await host.failing(packedExecutable, "agent", "--install");
  assert.equal(code, 1, stderr);
  assert.match(stderr, /a part of the dashboard's own service/);
  assert.equal((await host.agent.hello()).pid, pid);
  assert.equal(agent.pid, pid);
});

Deno.test("agent --install refuses a bad key, another user than root and sources, and changes nothing", async () => {
  await using host = await BareHost.start();
  const wrong = 'command="sh" ssh-ed25519 AAAA';
  const refused = await host.failing(packedExecutable, "agent", "--install", "--authorized-key", wrong);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /is not a public key/);
  const nobody = ["setpriv", "--reuid", "nobody", "--clear-groups", packedExecutable, "agent", "--install"];
  await Deno.chmod(host.libvirt.dir, 0o755);
  assert.match((await host.failing(...nobody)).stderr, /needs root/);
  const fromSources = await run(selfCommand(["agent", "--install"])).catch((error: ProcessError) => error);
  assert.match((fromSources as ProcessError).stderr, /only the executable can do that/);
  assert.equal(await host.sh("ls -A /usr/local/bin; getent passwd kvm-vdi || :"), "");
});

Deno.test("agent --install says what is missing, and installs it when asked to", async () => {
  await using host = await BareHost.start();
  await host.sh(
    `d=${host.libvirt.dir}; mkdir "$d/upper" "$d/work"
     mount -t overlay over -o "lowerdir=/usr/bin,upperdir=$d/upper,workdir=$d/work" /usr/bin
     mv /usr/bin/qemu-img /usr/bin/qemu-img.away`,
  );
  const { code, stderr } = await host.failing(packedExecutable, "agent", "--install");
  assert.equal(code, 1);
  assert.match(stderr, /qemu-img is missing on this host/);
  assert.match(stderr, /apt-get install -y --no-install-recommends .*qemu-utils/);
  const aptGet = `#!/bin/sh
echo "$*" >> /run/apt.log
[ -e /run/updated ] || { touch /run/updated; exit 100; }
[ "$1" = update ] || mv /usr/bin/qemu-img.away /usr/bin/qemu-img
`;
  await Deno.writeTextFile(host.libvirt.path("/usr/local/bin/apt-get"), aptGet, { mode: 0o755 });
  await host.install(["--install-packages"]);
  const install = "install -y --no-install-recommends " +
    "libvirt-clients libvirt-daemon-system qemu-system-x86 qemu-utils";
  assert.deepEqual((await host.readFile("/run/apt.log")).trim().split("\n"), [install, "update", install]);
  assert.ok(await host.agent.hello());
});

Deno.test("requirePackages() is content with what is installed", async () => {
  await requirePackages(false, () => assert.fail("nothing is to be done"));
});
