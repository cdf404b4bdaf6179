/** Turns what was asked for into complete rows and agent operations, or says which field is wrong. Changes nothing. */
import type { z } from "zod";
import type { CreateMachineOperation, Domain } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { HostFacts } from "../../contracts/hypervisor.ts";
import type { CreateMachine, Role } from "../../contracts/machine.ts";
import type { App } from "../app.ts";
import type { HypervisorRow, MachineRow } from "../db/schema.ts";
import { capacityOf, nothingCommitted, roomFor } from "../hypervisors/capacity.ts";
import { listHypervisorRows, noNetwork, requireNetwork } from "../hypervisors/service.ts";
import { beingCreated } from "./live.ts";
import { expandNames } from "./names.ts";
import { aRole } from "./service.ts";
import { spread } from "./spread.ts";
import { countDesktops, findMachine, findNameKeys } from "./store.ts";

type Wanted = z.output<typeof CreateMachine>;
export type CreateOperation = z.output<typeof CreateMachineOperation>;

export interface CreatePlan {
  /** With the hypervisor that each is made on. */
  rows: MachineRow[];
  operations: CreateOperation[];
}

const invalid = (path: string, message: string) =>
  new AppError("invalid", `${path}: ${message}`, { details: [{ path, message }] });

/** @throws {AppError} `invalid` or `conflict` naming the field; `unavailable` if a hypervisor is offline. */
export async function planCreation(app: App, wanted: Wanted): Promise<CreatePlan> {
  requireCombination(wanted);
  const source = await findSource(app, wanted);
  const hypervisors = await chooseHypervisors(app, wanted, source);
  for (const { id } of hypervisors) app.agents.of(id);
  const domain = findDomain(app, wanted, hypervisors[0]!.id);
  const settings = new Map(hypervisors.map((one) => [one.id, settle(app, wanted, source, one, domain)]));
  // One counter for all, so that a name says which machine it is wherever it runs.
  const taken = await Promise.all(hypervisors.map(({ id }) => takenNames(app, id, domain)));
  const names = expandNames(wanted.name, wanted.count, new Set(taken.flatMap((some) => [...some])));
  const places = await placesFor(app, wanted.count, hypervisors, settings);
  const rows = names.map((name, index) => {
    const hypervisorId = places[index]!;
    return rowOf(app, name, wanted, hypervisorId, source, settings.get(hypervisorId)!, domain);
  });
  return { rows, operations: rows.map((row) => operationOf(row, wanted)) };
}

async function placesFor(
  app: App,
  count: number,
  hypervisors: readonly HypervisorRow[],
  settings: ReadonlyMap<string, Hardware>,
): Promise<string[]> {
  const machines = await countDesktops(app.db);
  const targets = hypervisors.map((row) => {
    const { vcpus, memory_mib: memoryMiB } = settings.get(row.id)!;
    const { facts } = app.agents.status(row.id);
    const { machines: slots } = roomFor(capacityOf(row), facts, nothingCommitted, { vcpus, memoryMiB });
    return { id: row.id, slots, machines: machines.get(row.id) ?? 0 };
  });
  return spread(count, targets);
}

const sourceRole: Partial<Record<Role, Role>> = { initial: "source", vdi: "initial" };

/** What goes with which role, before anything is looked up. */
function requireCombination(wanted: Wanted): void {
  const { role, sourceId, disk, count, copyDisk, populate, hypervisorId, hypervisorIds } = wanted;
  const derived = sourceRole[role];
  const adopted = disk?.kind === "domain";
  if (!derived && sourceId) throw invalid("sourceId", `${aRole(role)} machine has no source`);
  if (derived && !sourceId && !(adopted && role === "initial")) {
    throw invalid("sourceId", `choose the ${derived} that this ${role} machine is made from`);
  }
  if (!derived && (!disk || disk.kind === "none")) {
    throw invalid("disk", `${aRole(role)} machine needs a disk: blank, import or an existing domain`);
  }
  if (derived && disk && disk.kind !== "none" && !adopted) {
    const remedy = role === "initial"
      ? "it gets a copy of its source's disk"
      : "it gets an overlay by populate";
    throw invalid("disk", `leave it out for a machine of role ${role}: ${remedy}`);
  }
  if (adopted && count > 1) throw invalid("count", "an existing domain is one machine");
  if (copyDisk && (role !== "initial" || adopted)) {
    throw invalid("copyDisk", "only a new initial gets a copy at once");
  }
  if (hypervisorIds && hypervisorId) throw invalid("hypervisorIds", "give this or hypervisorId");
  if (hypervisorIds && role !== "vdi") throw invalid("hypervisorIds", "only vdi machines are spread");
  if (populate && (role !== "vdi" || adopted)) {
    throw invalid("populate", "only new vdi machines are populated at once");
  }
}

async function findSource(app: App, { role, sourceId, populate }: Wanted): Promise<MachineRow | null> {
  if (!sourceId) return null;
  const source = await findMachine(app.db, sourceId);
  if (!source) throw invalid("sourceId", "there is no such machine");
  if (source.role !== sourceRole[role]) {
    throw invalid(
      "sourceId",
      `${source.name} is ${aRole(source.role)}, ${aRole(role)} machine needs ${aRole(sourceRole[role]!)}`,
    );
  }
  if (populate && source.disk_path === null) {
    throw invalid("populate", `${source.name} has no disk yet: copy the disk from its source first`);
  }
  return source;
}

async function chooseHypervisors(
  app: App,
  wanted: Wanted,
  source: MachineRow | null,
): Promise<HypervisorRow[]> {
  const rows = await listHypervisorRows(app);
  if (rows.length === 0) throw new AppError("unavailable", "There is no hypervisor yet. Add one first.");
  if (wanted.hypervisorIds) {
    return [...new Set(wanted.hypervisorIds)].map((id) => requireKnown(rows, id, "hypervisorIds"));
  }
  const id = wanted.hypervisorId ?? source?.hypervisor_id ?? (rows.length === 1 ? rows[0]!.id : undefined);
  if (id === undefined) throw invalid("hypervisorId", "choose a hypervisor, there are several");
  return [requireKnown(rows, id, "hypervisorId")];
}

function requireKnown(rows: readonly HypervisorRow[], id: string, path: string): HypervisorRow {
  const hypervisor = rows.find((row) => row.id === id);
  if (!hypervisor) throw invalid(path, "there is no such hypervisor");
  return hypervisor;
}

function findDomain(app: App, { disk }: Wanted, hypervisorId: string): Domain | null {
  if (disk?.kind !== "domain") return null;
  const domain = app.agents.domain(disk.domainId, hypervisorId)?.domain;
  if (!domain) throw invalid("disk.domainId", "there is no such domain on this hypervisor");
  if (domain.managed) throw invalid("disk.domainId", `${domain.name} is managed already`);
  if (!domain.persistent) {
    throw invalid("disk.domainId", `${domain.name} is transient; define it in libvirt first`);
  }
  return domain;
}

async function takenNames(app: App, hypervisorId: string, adopted: Domain | null): Promise<Set<string>> {
  const taken = await findNameKeys(app.db, hypervisorId);
  for (const domain of app.agents.domains(hypervisorId)) {
    if (domain.id !== adopted?.id) taken.add(domain.name.toLowerCase());
  }
  return taken;
}

type Hardware = Pick<MachineRow, "os_type" | "vcpus" | "memory_mib" | "network" | "video">;

/** Fills in what was not asked for: from the domain that is adopted, the source, the hypervisor, or the defaults. */
function settle(
  app: App,
  wanted: Wanted,
  source: MachineRow | null,
  hypervisor: HypervisorRow,
  domain: Domain | null,
): Hardware {
  if (domain) {
    return {
      os_type: wanted.osType ?? domain.osType ?? source?.os_type ?? "linux",
      vcpus: domain.vcpus,
      memory_mib: domain.memoryMiB,
      network: domain.network ?? noNetwork,
      video: domain.video === "virtio" ? "virtio" : "qxl",
    };
  }
  const { facts } = app.agents.status(hypervisor.id);
  // What the source has may not be there on another host.
  const network = wanted.network ?? (source?.hypervisor_id === hypervisor.id ? source.network : null) ??
    hypervisor.default_network ?? sameNetwork(facts, source) ??
    facts?.networks.find(({ active, kind }) => active && kind === "network")?.name ?? noNetwork;
  requireNetwork(app, hypervisor.id, network);
  const memoryMiB = wanted.memoryMiB ?? source?.memory_mib ?? 2048;
  if (facts && memoryMiB > facts.memoryMiB) {
    throw invalid("memoryMiB", `${hypervisor.name} has ${facts.memoryMiB} MiB in all`);
  }
  return {
    os_type: wanted.osType ?? source?.os_type ?? "linux",
    vcpus: wanted.vcpus ?? source?.vcpus ?? 2,
    memory_mib: memoryMiB,
    network,
    video: wanted.video ?? source?.video ?? "qxl",
  };
}

/** The source's network, where the host has one of that name too. */
function sameNetwork(facts: HostFacts | null, source: MachineRow | null): string | null {
  const names = facts?.networks.map(({ kind, name }) => kind === "bridge" ? `bridge:${name}` : name) ?? [];
  return source && (source.network === noNetwork || names.includes(source.network)) ? source.network : null;
}

function rowOf(
  app: App,
  name: string,
  wanted: Wanted,
  hypervisorId: string,
  source: MachineRow | null,
  hardware: Hardware,
  domain: Domain | null,
): MachineRow {
  const now = app.now();
  return {
    id: domain?.id ?? crypto.randomUUID(),
    name,
    name_key: name.toLowerCase(),
    role: wanted.role,
    ...hardware,
    hypervisor_id: hypervisorId,
    source_id: source?.id ?? null,
    state: "unknown",
    state_reason: beingCreated,
    maintenance: wanted.maintenance ? 1 : 0,
    locked: 0,
    virtual_snapshot: wanted.virtualSnapshot ? 1 : 0,
    mac: domain?.mac ?? null,
    iso: domain ? domain.iso : wanted.iso ?? null,
    disk_path: null,
    disk_bytes: null,
    base_path: null,
    version_id: null,
    current_version_id: null,
    kept_for_user_id: null,
    kept_until: null,
    populated_at: null,
    notes: wanted.notes,
    created_at: now,
    updated_at: now,
  };
}

function operationOf(row: MachineRow, { disk = { kind: "none" } }: Wanted): CreateOperation {
  const adopted = disk.kind === "domain";
  return {
    kind: "create-machine",
    machine: {
      id: row.id,
      name: row.name,
      role: row.role,
      osType: row.os_type,
      vcpus: row.vcpus,
      // An adopted domain keeps what it has; the contract's least is for new machines.
      memoryMiB: adopted ? Math.max(64, row.memory_mib) : row.memory_mib,
      mac: row.mac,
      network: row.network,
      video: row.video,
      iso: adopted ? null : row.iso,
    },
    disk: adopted ? { kind: "domain" } : disk,
  };
}
