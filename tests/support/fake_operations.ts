/** What the fake agent's jobs on machines do, with the real one's refusals. */
import type { z } from "zod";
import type { AgentJob, AgentOperation, Domain, ImageResult } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { JobItem } from "../../contracts/job.ts";
import { dataDiskPath, firstImagePath, imagePath, readOwnFile } from "../../agent/images/files.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { domainOfSpec, fakeDisk, firstDisk } from "./fake_domain.ts";
import { headerOf, versionOf } from "./fake_files.ts";

export type FakeInput<K extends AgentOperation["kind"]> = Extract<
  z.output<typeof AgentOperation>,
  { kind: K }
>;

/** A running job as its operation sees it. */
export interface FakeRun {
  jobId: string;
  signal: AbortSignal;
  report(change: Partial<AgentJob>): void;
  /** Takes as long as the agent's `copyMs`, telling how far it is. */
  copyBytes(total: number, stage: string): Promise<void>;
}

const importedBytes = 16 * 2 ** 20;

export class FakeOperations {
  readonly populateFailures = new Map<string, string>();
  readonly #adopted = new Set<string>();

  constructor(private readonly agent: FakeAgent) {}

  async create({ machine, disk }: FakeInput<"create-machine">, run: FakeRun): Promise<void> {
    if (disk.kind === "domain") return this.#adopt(machine);
    const all = [...this.agent.domains.values()];
    if (all.some(({ id }) => id === machine.id)) {
      throw new AppError("conflict", `Create ${machine.name}: its id is taken.`);
    }
    if (all.some(({ name }) => name === machine.name)) {
      throw new AppError("conflict", `Create ${machine.name}: libvirt has a domain of that name already.`);
    }
    if (machine.iso !== null && !this.agent.hasFile(machine.iso)) {
      throw new AppError("invalid", `There is no file ${machine.iso} on the hypervisor.`);
    }
    const disks = await this.#makeDisks(machine, disk, run);
    run.signal.throwIfAborted();
    this.agent.addDomain(domainOfSpec(machine, disks));
  }

  async #makeDisks(
    machine: FakeInput<"create-machine">["machine"],
    disk: FakeInput<"create-machine">["disk"],
    run: FakeRun,
  ): Promise<Domain["disks"]> {
    const { files, imageDir } = this.agent;
    const path = firstImagePath(imageDir, machine);
    if (disk.kind === "none") return machine.role === "vdi" ? [fakeDisk(path, null)] : [];
    if (disk.kind === "own") return [this.#ownDisk(machine, disk)];
    if (files.has(path)) throw new AppError("conflict", `Create ${path}: the file exists.`);
    if (disk.kind === "import") {
      if (!this.agent.hasFile(disk.path)) {
        throw new AppError("invalid", `There is no file ${disk.path} on the hypervisor.`);
      }
      await run.copyBytes(importedBytes, "Importing the disk");
      run.signal.throwIfAborted();
    }
    const bytes = disk.kind === "blank" ? disk.bytes : importedBytes;
    files.create(path, bytes);
    return [fakeDisk(path, bytes)];
  }

  #ownDisk(
    { id, name }: FakeInput<"create-machine">["machine"],
    { path, basePath }: Extract<FakeInput<"create-machine">["disk"], { kind: "own" }>,
  ): Domain["disks"][number] {
    const { files, imageDir } = this.agent;
    const what = `Create ${name}`;
    if (!readOwnFile(imageDir, id, path)) {
      throw new AppError("invalid", `${what}: ${path} is not a file of its own.`);
    }
    for (const needed of [path, ...basePath === null ? [] : [basePath]]) {
      if (!files.has(needed)) throw new AppError("not_found", `${what}: there is no file ${needed}.`);
    }
    if (files.isUsed(path)) throw new AppError("conflict", `${what}: ${path} is in use.`);
    if (headerOf(files.require(path)).backingPath !== basePath) {
      files.rewrite(path, { backingPath: basePath });
    }
    return fakeDisk(path, headerOf(files.require(path)).virtualBytes, basePath);
  }

  #adopt({ id, role, osType }: FakeInput<"create-machine">["machine"]): void {
    const domain = this.agent.domains.get(id);
    if (!domain) throw new AppError("not_found", `Import the domain ${id}: libvirt has no such domain.`);
    if (domain.managed) {
      throw new AppError("conflict", `Import ${domain.name}: it is a machine of KVM-VDI already.`);
    }
    this.#adopted.add(id);
    this.agent.change(id, { managed: true, role, osType });
  }

  delete({ machineId, keepDisks }: FakeInput<"delete-machine">): void {
    const { files, imageDir } = this.agent;
    const domain = this.agent.domains.get(machineId);
    if (domain) requireOff(domain, "Delete the machine");
    const own = [...files.all.keys()].filter((path) => readOwnFile(imageDir, machineId, path));
    const doomed = keepDisks || this.#adopted.has(machineId) ? [] : own;
    const disks = domain?.disks.flatMap(({ path }) => path === null ? [] : [path]) ?? [];
    const clones = [...disks, ...doomed].flatMap((path) => files.basedOn(path))
      .filter(({ id }) => id !== machineId);
    if (clones.length > 0) {
      const names = [...new Set(clones.map(({ name }) => name))].join(", ");
      throw new AppError(
        "conflict",
        `Delete the machine ${domain?.name ?? machineId}: its disk image is the base of ${names}.`,
      );
    }
    this.agent.removeDomain(machineId);
    for (const path of doomed) if (!files.isUsed(path)) files.all.delete(path);
  }

  async copyDisk(
    { fromId, toId, version: asked }: FakeInput<"copy-disk">,
    run: FakeRun,
  ): Promise<ImageResult> {
    const { files, imageDir } = this.agent;
    const [from, to] = [this.#require(fromId), this.#require(toId)];
    for (const domain of [from, to]) requireOff(domain, "Copy the disk");
    if (to.role !== "initial") {
      throw new AppError("invalid", `Copy the disk to ${to.name}: it is not an initial machine.`);
    }
    const disk = firstDisk(from);
    if (disk?.path == null) {
      throw new AppError("conflict", `Copy the disk of ${from.name}: it has no disk image.`);
    }
    files.requireWhole(disk.path, "Copy the disk");
    const taken = [...files.all.keys()].map((path) => readOwnFile(imageDir, toId, path)?.version ?? 0);
    const current = versionOf(firstDisk(to)?.path ?? "") ?? 0;
    const version = asked ?? Math.max(current, ...taken) + 1;
    const path = imagePath(imageDir, to, version);
    if (files.has(path)) throw new AppError("conflict", `Create ${path}: the file exists.`);
    await run.copyBytes(disk.virtualBytes ?? 0, "Copying the disk");
    files.create(path, disk.virtualBytes ?? 0);
    this.agent.setFirstDisk(toId, fakeDisk(path, disk.virtualBytes));
    return files.result(path);
  }

  async populate(
    { initialId, basePath, machineIds }: FakeInput<"populate">,
    run: FakeRun,
    told: (items: JobItem[]) => void,
  ): Promise<void> {
    const base = basePath ?? this.#baseOf(initialId);
    const { files } = this.agent;
    if (!files.has(base)) {
      const code = basePath === null ? "conflict" : "not_found";
      throw new AppError(code, `Populate: there is no file ${base} on this hypervisor. Restore it.`);
    }
    for (const link of files.chain(base)) files.requireQuiet(link, "Populate");
    const { virtualBytes } = headerOf(files.require(base));
    const items: JobItem[] = [];
    for (const id of machineIds) {
      await this.agent.wait(this.agent.options.populateMs);
      run.signal.throwIfAborted();
      items.push(this.#populateOne(id, base, virtualBytes));
      told(items);
    }
    const failed = items.filter(({ ok }) => !ok);
    if (failed.length === 0) return;
    throw new AppError(
      "conflict",
      `Populate: ${failed.length} of ${items.length} machines failed: ${failed[0]?.message}.`,
    );
  }

  #baseOf(initialId: string): string {
    const initial = this.#require(initialId);
    requireOff(initial, "Populate");
    if (initial.role !== "initial") {
      throw new AppError("invalid", `Populate from ${initial.name}: it is not an initial.`);
    }
    const path = firstDisk(initial)?.path;
    if (path == null) {
      throw new AppError("conflict", `Populate from ${initial.name}: it has no image yet.`);
    }
    return path;
  }

  #populateOne(id: string, base: string, virtualBytes: number): JobItem {
    const domain = this.agent.domains.get(id);
    const name = domain?.name ?? id;
    const message = !domain
      ? "there is no such domain on this hypervisor"
      : domain.role !== "vdi"
      ? "it is not a vdi machine"
      : domain.state !== "shut-off" && domain.state !== "crashed"
      ? `it is ${domain.state}. Shut it down first`
      : this.populateFailures.get(id) ?? null;
    if (message !== null) return { id, name, ok: false, message };
    const { files, imageDir } = this.agent;
    const path = firstDisk(domain!)?.path ?? imagePath(imageDir, { id, name });
    files.create(path, virtualBytes, base);
    this.agent.setFirstDisk(id, fakeDisk(path, virtualBytes, base));
    return { id, name, ok: true, message: null };
  }

  async flatten({ machineId }: FakeInput<"flatten">, run: FakeRun): Promise<ImageResult> {
    const { files } = this.agent;
    const domain = this.#require(machineId);
    requireOff(domain, "Flatten");
    const path = firstDisk(domain)?.path;
    if (path == null || !files.has(path)) {
      throw new AppError("conflict", `Flatten ${domain.name}: it has no disk image.`);
    }
    files.requireWhole(path, "Flatten");
    const { virtualBytes } = headerOf(files.require(path));
    await run.copyBytes(virtualBytes, "Flattening the disk");
    files.rewrite(path, { backingPath: null });
    this.agent.setFirstDisk(machineId, fakeDisk(path, virtualBytes), { role: "simple" });
    return files.result(path);
  }

  resize({ machineId, bytes }: FakeInput<"resize-disk">): void {
    const { files } = this.agent;
    const domain = this.#require(machineId);
    const disk = firstDisk(domain);
    if (disk?.path == null || !files.has(disk.path)) {
      throw new AppError("conflict", `Resize the disk of ${domain.name}: it has no disk image.`);
    }
    if (bytes < headerOf(files.require(disk.path)).virtualBytes) {
      throw new AppError("invalid", `Resize the disk of ${domain.name}: a disk never shrinks.`);
    }
    if (files.basedOn(disk.path).length > 0) {
      throw new AppError("conflict", `Resize the disk of ${domain.name}: machines are based on its image.`);
    }
    files.rewrite(disk.path, { virtualBytes: bytes });
    this.agent.setFirstDisk(machineId, { ...disk, virtualBytes: bytes });
  }

  createDataDisk({ diskId, name, bytes }: FakeInput<"create-data-disk">): ImageResult {
    const { files, imageDir } = this.agent;
    const path = dataDiskPath(imageDir, { id: diskId, name });
    if (!files.has(path)) files.create(path, bytes);
    else if (headerOf(files.require(path)).virtualBytes < bytes) files.rewrite(path, { virtualBytes: bytes });
    return files.result(path);
  }

  #require(id: string): Domain {
    const domain = this.agent.domains.get(id);
    if (!domain) throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
    return domain;
  }
}

export function requireOff(domain: Domain, what: string): void {
  if (domain.state === "shut-off" || domain.state === "crashed") return;
  throw new AppError(
    "conflict",
    `${what}: ${domain.name} is in use: it is ${domain.state}. Shut it down first.`,
  );
}
