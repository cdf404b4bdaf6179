/** A dashboard without a hypervisor of its own and two other hosts behind real sshd, with desktops spread over them. */
import type { Machine } from "../../contracts/machine.ts";
import { type Guest, guestOf } from "./guest.ts";
import { RemoteHost } from "./remote_host.ts";
import { type ApiUser, demoGuest, Stand } from "./stand.ts";

export const remoteImageDir = "/var/lib/kvm-vdi/images";

export class TwoHosts implements AsyncDisposable {
  source!: Machine;
  initial!: Machine;
  vdis: Machine[] = [];

  private constructor(
    readonly stand: Stand,
    readonly admin: ApiUser,
    readonly hosts: readonly [RemoteHost, RemoteHost],
    private readonly stack: AsyncDisposableStack,
  ) {}

  /** Nothing is enrolled yet. */
  static async start(prefix: string): Promise<TwoHosts> {
    await using stack = new AsyncDisposableStack();
    const stand = stack.use(await Stand.start({ prefix, localHypervisor: false }));
    const one = stack.use(await RemoteHost.start("north"));
    const two = stack.use(await RemoteHost.start("south"));
    return new TwoHosts(stand, await stand.admin(), [one, two], stack.move());
  }

  async enrolBoth(): Promise<void> {
    for (const host of this.hosts) {
      await host.enrol(this.admin);
      // Nested virtualization is not to be relied on, and capacity is not what these tests are about.
      const body = { settings: { domainType: "qemu" as const }, capacity: { memoryOvercommit: 4 } };
      await this.admin.call("updateHypervisor", { id: host.hypervisorId, body });
    }
  }

  /** A golden image on the first host and `count` clones over both. */
  async makeDesktops(count: number): Promise<void> {
    const { admin, stand, hosts: [north] } = this;
    const path = `${remoteImageDir}/demo.qcow2`;
    await north.run("cp", demoGuest, path);
    this.source = await admin.create({
      ...{ name: stand.name("source"), role: "source", hypervisorId: north.hypervisorId },
      disk: { kind: "import", path },
      ...{ vcpus: 1, memoryMiB: 192, network: "none" },
    });
    this.initial = await admin.create({
      ...{ name: stand.name("initial"), role: "initial", sourceId: this.source.id },
      copyDisk: true,
    });
    this.vdis = await admin.createAll({
      ...{ name: stand.name("{n}"), count, role: "vdi", sourceId: this.initial.id },
      hypervisorIds: this.hosts.map(({ hypervisorId }) => hypervisorId),
      populate: true,
    });
  }

  hostOf(machine: Pick<Machine, "hypervisorId">): RemoteHost {
    return this.hosts.find(({ hypervisorId }) => hypervisorId === machine.hypervisorId)!;
  }

  guest(machine: Machine): Guest {
    return guestOf(machine.name, this.hostOf(machine).libvirt.enter);
  }

  /** The backing file of a machine's first disk, as qemu-img tells it on its host. */
  async baseOf(machine: Machine): Promise<string> {
    const host = this.hostOf(machine);
    const disk = await this.diskOf(machine);
    const info = JSON.parse(await host.run("qemu-img", "info", "-U", "--output=json", disk));
    return info["full-backing-filename"] ?? info["backing-filename"];
  }

  async diskOf(machine: Machine): Promise<string> {
    const list = await this.hostOf(machine).virsh("domblklist", machine.name);
    return /vda\s+(\S+)/.exec(list)![1]!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}
