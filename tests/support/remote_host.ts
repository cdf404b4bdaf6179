/**
 * Another host, as an admin has it: a libvirt and accounts of its own, a real sshd, an account that may sudo, and
 * nothing of KVM-VDI until it is enrolled. It is a mount namespace on this machine, reached over the loopback.
 */
import { join } from "node:path";
import type { HostKey } from "../../contracts/hypervisor.ts";
import { run } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";
import { OwnLibvirt } from "./own_libvirt.ts";
import { Sshd } from "./sshd.ts";
import type { ApiUser } from "./stand.ts";

export class RemoteHost implements AsyncDisposable {
  readonly address = "127.0.0.1";
  readonly setupUser = "setup";
  /** Of the account that may sudo; nobody else may ever learn it. */
  readonly setupPassword = crypto.randomUUID();
  hypervisorId = "";

  private constructor(readonly name: string, readonly libvirt: OwnLibvirt, readonly sshd: Sshd) {}

  static async start(name: string): Promise<RemoteHost> {
    const libvirt = await OwnLibvirt.start({ ownAccounts: true });
    try {
      const sshd = await Sshd.start({ enter: libvirt.enter, passwords: true });
      const host = new RemoteHost(name, libvirt, sshd);
      await host.#addSetupAccount();
      return host;
    } catch (error) {
      await libvirt[Symbol.asyncDispose]();
      throw error;
    }
  }

  get port(): number {
    return this.sshd.port;
  }

  /** Runs a command on the host; returns what it printed. */
  run = async (...argv: string[]): Promise<string> =>
    (await run([...this.libvirt.enter, ...argv])).stdout.trim();

  sh = (script: string): Promise<string> => this.run("sh", "-c", script);

  virsh = (...args: string[]): Promise<string> => this.run("virsh", "-q", "-c", "qemu:///system", ...args);

  /** What `ssh-keygen -l` says on the host about its key. */
  async fingerprint(algorithm = "ed25519"): Promise<string> {
    const line = await this.run("ssh-keygen", "-l", "-f", this.sshd.hostKeyFile(algorithm));
    return line.split(" ")[1]!;
  }

  /** Adds the host to the dashboard as an admin does: key compared, agent installed by the setup account. */
  async enrol(admin: ApiUser): Promise<void> {
    const hostKey = await this.readHostKey(admin);
    const { hypervisor, job } = await admin.call("createHypervisor", {
      body: {
        name: this.name,
        ssh: { address: this.address, port: this.port, hostKey },
        enrol: { username: this.setupUser, password: this.setupPassword },
      },
    });
    this.hypervisorId = hypervisor.id;
    await admin.done(job!, 120_000);
    await this.untilState(admin, "online");
  }

  async readHostKey(admin: ApiUser): Promise<HostKey> {
    const body = { address: this.address, port: this.port };
    return (await admin.call("readHostKey", { body })).hostKey;
  }

  /** Waits until the dashboard sees the host so. */
  async untilState(admin: ApiUser, state: "online" | "degraded" | "offline", timeoutMs = 30_000) {
    return await eventually(`${this.name} is ${state}`, async () => {
      const { hypervisor } = await admin.call("getHypervisor", { id: this.hypervisorId });
      return hypervisor.state === state && hypervisor;
    }, { timeoutMs });
  }

  /** sha256 of a file on the host, as sha256sum says it. */
  sha256 = async (path: string): Promise<string> => (await this.run("sha256sum", path)).split(" ")[0]!;

  /** Length of a file and what it takes on the disk, in bytes. */
  async size(path: string): Promise<{ bytes: number; allocatedBytes: number }> {
    const [bytes, blocks] = (await this.run("stat", "-c", "%s %b", path)).split(" ").map(Number);
    return { bytes: bytes!, allocatedBytes: blocks! * 512 };
  }

  /** Process ids of everything that runs on the host with this in its command line. */
  async pids(pattern: string): Promise<number[]> {
    const found: number[] = [];
    for (const pid of await this.libvirt.processes()) {
      const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (command.replaceAll("\0", " ").includes(pattern)) found.push(pid);
    }
    return found;
  }

  /** As if the power were cut: every process of the host is gone at once. */
  async pullThePlug(): Promise<void> {
    const pids = await this.libvirt.processes();
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await eventually("the host is off", async () => (await this.libvirt.processes()).length === 0);
  }

  /** Switches it on again: libvirt, sshd and the agent, as at boot. */
  async boot(): Promise<void> {
    await this.libvirt.startAgain();
    await this.sshd.start();
    await this.startAgent();
  }

  /** As an init system does at boot. */
  async startAgent(): Promise<void> {
    await this.sh(
      "setsid /usr/local/bin/kvm-vdi agent >>/var/log/libvirt/kvm-vdi-agent.log 2>&1 </dev/null &",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sshd[Symbol.asyncDispose]();
    await this.libvirt[Symbol.asyncDispose]();
  }

  async #addSetupAccount(): Promise<void> {
    await this.run("useradd", "--create-home", "--shell", "/bin/bash", this.setupUser);
    const line = `${this.setupUser}:${this.setupPassword}`;
    const file = join(this.libvirt.dir, "chpasswd");
    await Deno.writeTextFile(file, line, { mode: 0o600 });
    await this.sh(`chpasswd < ${file}`);
    await Deno.remove(file);
    await this.sh(`echo '${this.setupUser} ALL=(ALL) ALL' > /etc/sudoers.d/${this.setupUser}`);
  }
}
