import { join } from "node:path";
import type { Domain, ImageResult, MachineSpec } from "../../contracts/agent.ts";
import type { HostFacts } from "../../contracts/hypervisor.ts";
import type { JobItem, Progress } from "../../contracts/job.ts";
import type { Host, Operation, OperationInput, OperationOf } from "../../agent/host.ts";
import { Receivers } from "../../agent/images/receiver.ts";
import { DomainTable } from "../../agent/inventory/domain_table.ts";
import { Virsh } from "../../agent/libvirt/virsh.ts";
import { Locks } from "../../agent/locks.ts";
import { jobOperations } from "../../agent/operations/job_operations.ts";
import { createLogger } from "../../lib/log.ts";
import { run, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

export type { OperationOf };

/** A job as a test sees it; give `onProgress` to do something half way. */
export class TestOperation implements Operation {
  readonly jobId = crypto.randomUUID();
  readonly abort = new AbortController();
  readonly signal = this.abort.signal;
  readonly progress: Partial<Progress>[] = [];
  lastItems: JobItem[] = [];
  /** What a successful job has told. */
  result: ImageResult | null = null;
  constructor(readonly onProgress: (progress: Partial<Progress>, op: TestOperation) => void = () => {}) {}
  report(progress: Partial<Progress>): void {
    this.progress.push(progress);
    this.onProgress(progress, this);
  }
  items(items: JobItem[]): void {
    this.lastItems = items;
  }
}

const facts: Omit<HostFacts, "settings"> = {
  hostname: "test",
  cpuModel: "test",
  cpus: 2,
  memoryMiB: 4096,
  libvirtVersion: "",
  qemuVersion: "",
  domainType: "qemu",
  kvm: { state: "absent", detail: "tests run without it" },
  displays: ["spice", "vnc"],
  networks: [],
  storage: [],
  serviceManager: "none",
};

/**
 * A host on the real libvirt with directories of its own. Domains made through it have names that begin with
 * `prefix`; they and the directories are removed at the end.
 */
export class RealHost implements Host, AsyncDisposable {
  readonly virsh: Virsh;
  readonly locks = new Locks();
  readonly receivers = new Receivers();
  readonly log = createLogger({ mode: "test", level: "silent" });
  readonly domains: DomainTable;
  readonly #ids = new Set<string>();

  private constructor(readonly dir: string, readonly prefix: string, readonly config: Host["config"]) {
    this.virsh = new Virsh(config.libvirtUri);
    this.domains = new DomainTable({
      virsh: this.virsh,
      log: this.log,
      scratchDirs: this.scratchDirs,
      onChange: () => {},
    });
  }

  static async start(prefix: string): Promise<RealHost> {
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-images-" });
    // QEMU runs as another user.
    await Deno.chmod(dir, 0o755);
    const [imageDir, isoDir, scratchDir] = ["images", "iso", "scratch"].map((name) => join(dir, name));
    for (const path of [imageDir, isoDir, scratchDir]) await Deno.mkdir(path!);
    const host = new RealHost(dir, prefix, {
      socketPath: join(dir, "agent.sock"),
      stateDir: dir,
      imageDir: imageDir!,
      isoDir: isoDir!,
      scratchDir: scratchDir!,
      domainType: "qemu",
      displayListen: "loopback",
      libvirtUri: "qemu:///system",
      transferAddress: "127.0.0.1",
    });
    await host.domains.sync();
    return host;
  }

  imageDirs = (): string[] => [this.config.imageDir];
  scratchDirs = (): string[] => [this.config.scratchDir];
  facts = (): HostFacts => ({ ...facts, settings: this.config });

  /** A spec with sensible values; the machine is removed at the end. */
  spec(name: string, values: Partial<MachineSpec> = {}): MachineSpec {
    const id = crypto.randomUUID();
    this.#ids.add(id);
    return {
      id,
      name: `${this.prefix}${name}-${id.slice(0, 4)}`,
      role: "simple",
      osType: "linux",
      vcpus: 1,
      memoryMiB: 64,
      mac: null,
      network: "none",
      video: "virtio",
      iso: null,
      ...values,
    };
  }

  async run(input: OperationInput, op: TestOperation = new TestOperation()): Promise<TestOperation> {
    const operation = jobOperations[input.kind] as {
      run(host: Host, input: OperationInput, op: Operation): Promise<ImageResult | void>;
    };
    op.result = await operation.run(this, input, op) ?? null;
    return op;
  }

  async create(spec: MachineSpec, disk: OperationOf<"create-machine">["disk"]): Promise<Domain> {
    await this.run({ kind: "create-machine", machine: spec, disk });
    return this.domain(spec.id);
  }

  domain(id: string): Domain {
    const domain = this.domains.get(id);
    if (!domain) throw new Error(`There is no domain ${id}.`);
    return domain;
  }

  diskPath(id: string): string {
    const path = this.domain(id).disks.find(({ device }) => device === "disk")?.path;
    if (!path) throw new Error(`The domain ${id} has no disk.`);
    return path;
  }

  /** Starts a domain past all checks of ours. */
  async startRaw(id: string): Promise<void> {
    await this.virsh.start(id);
    await this.domains.refresh(id);
  }

  async destroyRaw(id: string): Promise<void> {
    await this.virsh.destroy(id);
    await this.domains.refresh(id);
  }

  /** Defines a domain that KVM-VDI knows nothing of. */
  async defineForeign(id: string, xml: string): Promise<void> {
    this.#ids.add(id);
    await this.virsh.define(xml);
    await this.domains.refresh(id);
  }

  /** Opens an image for writing, as a QEMU that runs outside of libvirt does, until it is disposed. */
  async holdForWriting(path: string): Promise<AsyncDisposable & { pid: number }> {
    const qemuIo = spawn(["qemu-io", "-f", "qcow2", path], { stdin: true });
    const lines = qemuIo.lines();
    await qemuIo.write("write 0 512\n");
    await lines.next();
    return {
      pid: qemuIo.pid,
      [Symbol.asyncDispose]: async () => {
        await qemuIo.closeStdin();
        await Array.fromAsync(lines);
        await qemuIo.status;
      },
    };
  }

  /** A raw image with `contentBytes` of noise at its start. */
  async makeRawImage(name: string, contentBytes: number, virtualBytes = contentBytes): Promise<string> {
    const path = join(this.dir, name);
    using file = await Deno.open(path, { create: true, write: true });
    const noise = crypto.getRandomValues(new Uint8Array(65536));
    for (let done = 0; done < contentBytes; done += noise.length) {
      new DataView(noise.buffer).setUint32(0, done);
      await file.write(noise);
    }
    await file.truncate(virtualBytes);
    return path;
  }

  async imageFiles(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.config.imageDir))).map(({ name }) => name).sort();
  }

  /** Whether two images have the same contents, whatever their formats and chains. */
  async sameContents(a: string, b: string): Promise<boolean> {
    return await run(["qemu-img", "compare", "-U", a, b]).then(() => true, () => false);
  }

  checksum = async (path: string): Promise<string> => (await run(["sha256sum", path])).stdout.split(" ")[0]!;

  async [Symbol.asyncDispose](): Promise<void> {
    // Another test may be restarting libvirt just now.
    const present = await eventually("libvirt answers", async () => new Set(await this.virsh.list()));
    const active = await this.virsh.listBusy();
    for (const id of this.#ids) {
      if (!present.has(id)) continue;
      if (active.has(id)) await this.virsh.destroy(id).catch(() => {});
      await this.virsh.undefine(id);
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}
