import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

/** Bind-mounts directories of its own over libvirt's, starts the daemons and stays, to keep the namespace alive. */
const script = `
set -e
dir=$1
mkdir -p "$dir/varlib/qemu" "$dir/cache" "$dir/log"
cp -a /etc/libvirt "$dir/etc"
rm -rf "$dir"/etc/qemu/*.xml "$dir"/etc/qemu/networks/autostart/*
chmod 755 "$dir" "$dir/varlib"
mount --make-rprivate /
mount -t tmpfs -o mode=755 own-libvirt /run/libvirt
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$dir/varlib" /var/lib/libvirt
mount --bind "$dir/cache" /var/cache/libvirt
mount --bind "$dir/log" /var/log/libvirt
virtlogd -d -p /run/libvirt/own-virtlogd.pid
libvirtd -d -p /run/libvirt/own-libvirtd.pid
echo ready
cat >/dev/null
kill "$(cat /run/libvirt/own-libvirtd.pid)" "$(cat /run/libvirt/own-virtlogd.pid)"
`;

/**
 * A libvirt of the test's own, in a mount namespace, that can be stopped without disturbing anybody's machines. Needs
 * root. Put `enter` before a command to run it there.
 */
export class OwnLibvirt implements AsyncDisposable {
  readonly enter: readonly string[];

  private constructor(private readonly dir: string, private readonly holder: RunningProcess) {
    this.enter = ["nsenter", "--mount", "--target", String(holder.pid), "--"];
  }

  static async start(): Promise<OwnLibvirt> {
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-libvirt-" });
    const argv = ["unshare", "--mount", "bash", "-c", script, "own-libvirt", dir];
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.holder.closeStdin();
    await this.holder.status;
    await Deno.remove(this.dir, { recursive: true });
  }

  async #answers(): Promise<void> {
    const list = () => this.#run("virsh", "-q", "-c", "qemu:///system", "list").then(() => true);
    await eventually("libvirt answers", list, { timeoutMs: 30_000 });
  }

  async #run(...argv: string[]): Promise<string> {
    return (await run([...this.enter, ...argv])).stdout;
  }
}
