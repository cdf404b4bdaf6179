import { basename } from "node:path";
import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

/**
 * Bind-mounts directories of its own over libvirt's and, as a whole other host, over everything that an installation
 * writes; starts the daemons and stays, to keep the namespace alive.
 */
const script = `
set -e
dir=$1
mkdir -p "$dir/varlib/qemu" "$dir/cache" "$dir/log"
cp -a /etc/libvirt "$dir/etc"
rm -rf "$dir"/etc/qemu/*.xml "$dir"/etc/qemu/networks/autostart/*
# Two libvirts on one loopback would take the same port for two displays.
first=$((10000 + $$ % 200 * 100))
printf '\\nremote_display_port_min = %s\\nremote_display_port_max = %s\\n' $first $((first + 99)) >>"$dir/etc/qemu.conf"
chmod 755 "$dir" "$dir/varlib"
mount --make-rprivate /
if [ "$2" = own-accounts ]; then
  mkdir -p /var/lib/kvm-vdi "$dir/host-etc" "$dir/bin" "$dir/state" "$dir/sudo" "$dir/var-log"
  cp -a /etc/. "$dir/host-etc"
  mount --bind "$dir/host-etc" /etc
  # The host's own installation, if there is one, is not this host's.
  sed -i /^kvm-vdi:/d /etc/passwd /etc/shadow /etc/group /etc/gshadow
  rm -rf /etc/kvm-vdi
  mount --bind "$dir/bin" /usr/local/bin
  mount --bind "$dir/state" /var/lib/kvm-vdi
  mount --bind "$dir/sudo" /var/lib/sudo
  mount --bind "$dir/var-log" /var/log
  mkdir /var/log/libvirt
  mount -t tmpfs -o mode=755 own-home /home
  # Without /run/systemd there is no systemd either.
  mount -t tmpfs -o mode=755 own-run /run
  mkdir -p /run/libvirt /run/lock /run/sshd
else
  mount -t tmpfs -o mode=755 own-libvirt /run/libvirt
fi
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/varlib" /var/lib/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
virtlogd -d -p /run/libvirt/own-virtlogd.pid
libvirtd -d -p /run/libvirt/own-libvirtd.pid
echo ready
read -r _ || :
# The test has ended, or was killed. Machines have namespaces of their own, made from this one.
for times in {1..50}; do
  found=
  for process in /proc/[0-9]*; do
    [ "$process" != "/proc/$$" ] || continue
    IFS= read -rd "" mounts 2>/dev/null < "$process/mountinfo" || :
    if [[ $mounts == *"\${dir##*/}/varlib "* ]]; then kill -9 "\${process#/proc/}" 2>/dev/null || :; found=1; fi
  done
  [ "$found" ] || break
  sleep 0.1
done
umount -l /var/log/libvirt /etc/libvirt
rm -rf "$dir"
`;

export interface OwnLibvirtOptions {
  /**
   * Also accounts, /etc, /run, /home, /usr/local/bin and /var/lib/kvm-vdi of its own: a host on which KVM-VDI can be
   * installed without touching this one.
   */
  ownAccounts?: boolean;
  /** Also a network of its own, with nothing but a loopback: what listens on all addresses there is seen by nobody. */
  ownNetwork?: boolean;
}

/**
 * A libvirt of the test's own, in a mount namespace, that can be stopped without disturbing anybody's machines. Needs
 * root. Put `enter` before a command to run it there. What still runs there at the end is killed.
 */
export class OwnLibvirt implements AsyncDisposable {
  readonly enter: readonly string[];

  private constructor(readonly dir: string, private readonly holder: RunningProcess) {
    this.enter = ["nsenter", "--mount", "--net", "--target", String(holder.pid), "--"];
  }

  static async start(options: OwnLibvirtOptions = {}): Promise<OwnLibvirt> {
    const { ownAccounts = false, ownNetwork = false } = options;
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-libvirt-" });
    const own = ownAccounts ? "own-accounts" : "";
    const namespaces = ["--mount", ...(ownNetwork ? ["--net"] : [])];
    const argv = ["unshare", ...namespaces, "bash", "-c", script, "own-libvirt", dir, own];
    const holder = spawn(argv, { stdin: true, stdout: "piped" });
    const lines = holder.lines();
    const first = await lines.next();
    await lines.return?.();
    if (first.value !== "ready") {
      throw new Error(`A libvirt of its own does not start: ${holder.stderrTail()}`);
    }
    const libvirt = new OwnLibvirt(dir, holder);
    await libvirt.#answers();
    return libvirt;
  }

  /** Ends libvirtd; machines keep running. */
  async stopDaemon(): Promise<void> {
    const pid = Number(await this.#run("cat", "/run/libvirt/own-libvirtd.pid"));
    Deno.kill(pid, "SIGTERM");
    await eventually("libvirtd ends", () => this.#run("test", "!", "-d", `/proc/${pid}`).then(() => true));
  }

  async startDaemon(): Promise<void> {
    await this.#run("libvirtd", "-d", "-p", "/run/libvirt/own-libvirtd.pid");
  }

  /** Both daemons, after everything in the namespace was killed. */
  async startAgain(): Promise<void> {
    await this.#run("virtlogd", "-d", "-p", "/run/libvirt/own-virtlogd.pid");
    await this.startDaemon();
    await this.#answers();
  }

  /** Process ids of everything that runs here, machines included, except for what keeps the namespace. */
  async processes(): Promise<number[]> {
    const pids: number[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === this.holder.pid) continue;
      // Machines have mount namespaces of their own, made from this one. Whoever ends meanwhile is not here.
      const mounts = await Deno.readTextFile(`/proc/${pid}/mountinfo`).catch(() => "");
      if (mounts.includes(`${basename(this.dir)}/varlib `)) pids.push(pid);
    }
    return pids;
  }

  /** A path of the namespace, as processes outside reach it. */
  path = (inside: string): string => `/proc/${this.holder.pid}/root${inside}`;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.holder.closeStdin();
    await this.holder.status;
  }

  async #answers(): Promise<void> {
    const list = () => this.#run("virsh", "-q", "-c", "qemu:///system", "list").then(() => true);
    await eventually("libvirt answers", list, { timeoutMs: 30_000 });
  }

  async #run(...argv: string[]): Promise<string> {
    return (await run([...this.enter, ...argv])).stdout;
  }
}
