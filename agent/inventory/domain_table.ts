import type { Domain } from "../../contracts/agent.ts";
import { Id, Mac } from "../../contracts/common.ts";
import type { PowerAction } from "../../contracts/machine.ts";
import type { Logger } from "../../lib/log.ts";
import type { ParsedDisk } from "../libvirt/domain_xml.ts";
import type { Virsh } from "../libvirt/virsh.ts";
import { readImageHeader } from "./image_header.ts";
import { type DomainReading, readDomains } from "./read_domains.ts";

export type Viewer = Domain["viewers"][number];

/** What is known of a running domain beside its XML. */
interface Circumstances {
  viewers: Viewer[];
  addresses: string[];
  pendingAction: PowerAction | null;
}

export interface DomainTableOptions {
  virsh: Virsh;
  log: Logger;
  scratchDirs(): string[];
  /** After `domain` differs from what was told before; null: it is gone. */
  onChange(id: string, domain: Domain | null): void;
}

type Settle = PromiseWithResolvers<Domain | null>;

/**
 * The live view of libvirt's domains. It never guesses: whatever happens, the domain is read again, many domains
 * with one process. Only a listing that worked and lacks a domain removes it.
 */
export class DomainTable {
  readonly #options: DomainTableOptions;
  readonly #domains = new Map<string, Domain>();
  readonly #circumstances = new Map<string, Circumstances>();
  readonly #wanted = new Map<string, Settle[]>();
  readonly #oddIds = new Set<string>();
  #reading = false;

  constructor(options: DomainTableOptions) {
    this.#options = options;
  }

  get(id: string): Domain | undefined {
    return this.#domains.get(id);
  }

  all(): Domain[] {
    return [...this.#domains.values()];
  }

  byName(name: string): Domain | undefined {
    return this.all().find((domain) => domain.name === name);
  }

  /**
   * Reads a domain again, from now on or later; null when it does not exist.
   * @throws {AppError} when libvirt cannot be asked.
   */
  refresh(id: string): Promise<Domain | null> {
    const settle = Promise.withResolvers<Domain | null>();
    this.#wanted.set(id, [...this.#wanted.get(id) ?? [], settle]);
    if (!this.#reading) void this.#readWanted();
    return settle.promise;
  }

  /** Reads the headers of a domain's images again after new overlays were made at the same paths. No process. */
  async refreshImages(id: string): Promise<void> {
    const known = this.#domains.get(id);
    if (!known) return;
    const disks = await Promise.all(known.disks.map(async (disk) => {
      const header = disk.path === null || disk.device !== "disk"
        ? null
        : await readImageHeader(disk.path, "qcow2");
      return {
        ...disk,
        virtualBytes: header?.virtualBytes ?? null,
        backingPath: header?.backingPath ?? null,
      };
    }));
    const domain = this.#domains.get(id);
    if (domain) this.#put({ ...domain, disks });
  }

  /** Reads new domains and drops removed ones; with `everything`, reads the known ones again too. */
  async sync({ everything = false }: { everything?: boolean } = {}): Promise<void> {
    const listed = await this.#list();
    for (const id of this.#domains.keys()) if (!listed.includes(id)) this.#remove(id);
    await Promise.all(
      listed.filter((id) => everything || !this.#domains.has(id)).map((id) => this.refresh(id)),
    );
  }

  setPendingAction(id: string, pendingAction: PowerAction | null): void {
    this.#note(id, { pendingAction });
  }

  setViewers(id: string, viewers: Viewer[]): void {
    this.#note(id, { viewers });
  }

  setAddresses(id: string, addresses: string[]): void {
    this.#note(id, { addresses });
  }

  async #list(): Promise<string[]> {
    const ids = await this.#options.virsh.list();
    return ids.filter((id) => {
      if (Id.safeParse(id).success) return true;
      if (!this.#oddIds.has(id)) {
        this.#options.log.warn({ id }, "a domain whose UUID is not valid is left out");
      }
      this.#oddIds.add(id);
      return false;
    });
  }

  #note(id: string, change: Partial<Circumstances>): void {
    const known = this.#circumstancesOf(id);
    this.#circumstances.set(id, { ...known, ...change });
    const domain = this.#domains.get(id);
    if (domain) this.#put({ ...domain, ...change });
  }

  #circumstancesOf(id: string): Circumstances {
    return this.#circumstances.get(id) ?? { viewers: [], addresses: [], pendingAction: null };
  }

  /** Never rejects: whoever asked for a domain gets the error. */
  async #readWanted(): Promise<void> {
    this.#reading = true;
    while (this.#wanted.size > 0) {
      const batch = new Map([...this.#wanted].slice(0, 200));
      for (const id of batch.keys()) this.#wanted.delete(id);
      try {
        await this.#read([...batch.keys()]);
        for (const [id, settles] of batch) {
          for (const settle of settles) settle.resolve(this.#domains.get(id) ?? null);
        }
      } catch (error) {
        for (const settle of [...batch.values()].flat()) settle.reject(error);
      }
    }
    this.#reading = false;
  }

  async #read(ids: string[]): Promise<void> {
    const readings = await readDomains(this.#options.virsh, ids);
    const unreadable = ids.filter((id) => !readings.get(id));
    if (unreadable.length > 0) {
      const listed = await this.#list();
      for (const id of unreadable) if (!listed.includes(id)) this.#remove(id);
    }
    for (const [id, reading] of readings) {
      if (reading) this.#put(await this.#describe(id, reading));
    }
  }

  async #describe(id: string, { live, definition, ...reading }: DomainReading): Promise<Domain> {
    const off = reading.state === "shut-off" || reading.state === "crashed";
    if (off) this.#circumstances.delete(id);
    const { machine, mac } = definition;
    return {
      id,
      name: definition.name,
      managed: machine !== null,
      role: machine?.role ?? null,
      ...reading,
      osType: machine?.osType ?? null,
      vcpus: definition.vcpus,
      memoryMiB: definition.memoryMiB,
      mac: Mac.safeParse(mac).success ? mac : null,
      network: definition.network,
      video: definition.video,
      iso: definition.iso,
      disks: await Promise.all(definition.disks.map((disk) => this.#describeDisk(disk))),
      displays: [...new Set(definition.displays.map((display) => display.protocol))],
      guestAgent: !off && live.guestAgentChannel === "connected",
      virtualSnapshot: !off && live.disks.some((disk) => this.#isScratch(disk.path)),
      ...this.#circumstancesOf(id),
    };
  }

  async #describeDisk({ target, device, path, format }: ParsedDisk): Promise<Domain["disks"][number]> {
    const readable = path !== null && device === "disk";
    const header = await (readable ? readImageHeader(path, format) : null)?.catch((error) => {
      this.#options.log.warn({ err: error, path }, "a disk image cannot be read");
      return null;
    });
    return {
      target,
      device,
      path,
      virtualBytes: header?.virtualBytes ?? null,
      backingPath: header?.backingPath ?? null,
    };
  }

  #isScratch(path: string | null): boolean {
    return path !== null && this.#options.scratchDirs().some((dir) => path.startsWith(`${dir}/`));
  }

  #put(domain: Domain): void {
    const before = this.#domains.get(domain.id);
    if (before && JSON.stringify(before) === JSON.stringify(domain)) return;
    this.#domains.set(domain.id, domain);
    this.#options.onChange(domain.id, domain);
  }

  #remove(id: string): void {
    this.#circumstances.delete(id);
    if (this.#domains.delete(id)) this.#options.onChange(id, null);
  }
}
