/** Machines: finding, showing, changing. Power, creation, deletion and bulk actions have files of their own. */
import type { z } from "zod";
import type { EditCommand } from "../../contracts/agent.ts";
import type { Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Machine, MachineDisk, MachineQuery, Role, UpdateMachine } from "../../contracts/machine.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { requireNetwork } from "../hypervisors/service.ts";
import { listMachineRows } from "./list_store.ts";
import { factsOfDomain } from "./live.ts";
import { renderMachines, renderRows } from "./render.ts";
import * as store from "./store.ts";

export { renderMachines };

/** @throws {AppError} `not_found`. */
export async function requireMachine(app: Pick<App, "db">, id: string): Promise<MachineRow> {
  const row = await store.findMachine(app.db, id);
  if (!row) throw new AppError("not_found", "There is no such machine; it may have been deleted.");
  return row;
}

/** Rows in no particular order, without those that do not exist. */
export function findMachineRows(app: Pick<App, "db">, ids: readonly string[]): Promise<MachineRow[]> {
  return store.findMachines(app.db, ids);
}

/** Machines made from this one, by name. */
export function findDerivedMachines(app: Pick<App, "db">, id: string): Promise<MachineRow[]> {
  return store.findDerived(app.db, id);
}

/** Who holds each of these machines by a lease: machine id -> username. */
export function findLeaseHolders(app: Pick<App, "db">, ids: readonly string[]): Promise<Map<string, string>> {
  return store.findLeaseHolders(app.db, ids);
}

/** Writes columns that an operation on images has changed, and tells about it. */
export async function changeMachines(
  app: App,
  changes: ReadonlyMap<string, Partial<MachineRow>>,
): Promise<void> {
  const now = app.now();
  await store.updateMachines(
    app.db,
    new Map([...changes].map(([id, change]) => [id, { ...change, updated_at: now }])),
  );
  app.bus.publish({ type: "machines", ids: [...changes.keys()] });
}

/** @throws {AppError} `not_found`. */
export async function getMachine(app: App, id: string): Promise<Machine> {
  const [machine] = await renderRows(app, [await requireMachine(app, id)]);
  return machine!;
}

/** One page of the machine table. */
export async function listMachines(app: App, query: z.output<typeof MachineQuery>): Promise<Page<Machine>> {
  const { rows, total, nextCursor } = await listMachineRows(app.db, query, idsByAddress(app, query.q));
  return { items: await renderRows(app, rows), total, nextCursor };
}

/** Machines whose guest has an address that contains the text. */
export function idsByAddress(app: Pick<App, "agents">, text: string | undefined): string[] {
  const wanted = text?.trim().toLowerCase() ?? "";
  if (!/^[0-9a-f.:]{2,}$/.test(wanted)) return [];
  return app.agents.allDomains()
    .filter((domain) => domain.addresses.some((address) => address.includes(wanted)))
    .map((domain) => domain.id);
}

/** @throws {AppError} `conflict` naming the job that works on the machine. */
export function requireNotHeld(app: Pick<App, "jobs">, machine: Pick<MachineRow, "id" | "name">): void {
  const job = app.jobs.holderOf(machine.id);
  if (!job) return;
  const what = job.subjectName === machine.name ? job.kind : `${job.kind} of ${job.subjectName}`;
  throw new AppError(
    "conflict",
    `${machine.name} is busy: ${what} is ${job.state}. Wait for the job or cancel it, then try again.`,
  );
}

/** Takes a machine out of what users are offered, or puts it back. */
export async function setMaintenance(
  app: App,
  id: string,
  maintenance: boolean,
  actor: Actor | null,
): Promise<void> {
  const machine = await requireMachine(app, id);
  await changeMachines(app, new Map([[id, { maintenance: maintenance ? 1 : 0 }]]));
  const action = maintenance ? "machine.maintenance-on" : "machine.maintenance-off";
  await audit(app, { actor, action, subjectId: id, subjectName: machine.name });
}

/** `an initial`, `a source`. */
export const aRole = (role: Role) => role === "initial" ? "an initial" : `a ${role}`;

/** `a, b, c and 7 more`. */
export function nameSome(rows: readonly { name: string }[]): string {
  const names = rows.slice(0, 3).map(({ name }) => name).join(", ");
  return rows.length > 3 ? `${names} and ${rows.length - 3} more` : names;
}

const shutOffFields = ["name", "vcpus", "memoryMiB", "network", "video", "osType"] as const;
const columnOf = {
  name: "name",
  vcpus: "vcpus",
  memoryMiB: "memory_mib",
  network: "network",
  video: "video",
  osType: "os_type",
  iso: "iso",
} as const satisfies Record<keyof EditCommand, keyof MachineRow>;

/**
 * Changes a machine: flags and notes here, hardware through the agent.
 * @throws {AppError} `conflict` if the hardware can only be changed while it is shut off, or the name is taken.
 */
export async function updateMachine(
  app: App,
  id: string,
  changes: z.output<typeof UpdateMachine>,
  actor: Actor,
): Promise<Machine> {
  const machine = await requireMachine(app, id);
  const edit = editOf(machine, changes);
  if (Object.keys(edit).length > 0) await editHardware(app, machine, edit);
  const { maintenance, locked, virtualSnapshot, notes } = changes;
  await changeMachines(
    app,
    new Map([[id, {
      ...(maintenance !== undefined && { maintenance: maintenance ? 1 : 0 }),
      ...(locked !== undefined && { locked: locked ? 1 : 0 }),
      ...(virtualSnapshot !== undefined && { virtual_snapshot: virtualSnapshot ? 1 : 0 }),
      ...(notes !== undefined && { notes }),
    }]]),
  );
  await audit(app, {
    actor,
    action: "machine.update",
    subjectId: id,
    subjectName: machine.name,
    detail: Object.entries(changes).map(([key, value]) => `${key}: ${value}`).join(", "),
  });
  return await getMachine(app, id);
}

/** The hardware that is to be different from what it is. */
function editOf(machine: MachineRow, changes: z.output<typeof UpdateMachine>): EditCommand {
  const fields = Object.keys(columnOf) as (keyof EditCommand)[];
  return Object.fromEntries(
    fields.filter((field) => changes[field] !== undefined && changes[field] !== machine[columnOf[field]])
      .map((field) => [field, changes[field]]),
  );
}

async function editHardware(app: App, machine: MachineRow, edit: EditCommand): Promise<void> {
  requireNotHeld(app, machine);
  const agent = app.agents.of(machine.hypervisor_id);
  const seen = app.agents.domain(machine.id, machine.hypervisor_id);
  const blocked = shutOffFields.filter((field) => edit[field] !== undefined);
  if (blocked.length > 0 && seen && seen.domain.state !== "shut-off" && seen.domain.state !== "crashed") {
    throw new AppError(
      "conflict",
      `${blocked.join(", ")} of ${machine.name} can only be changed while it is shut off; it is ` +
        `${seen.domain.state}. Shut it down first.`,
      { details: blocked.map((path) => ({ path, message: "needs the machine shut off" })) },
    );
  }
  if (edit.name !== undefined) await requireFreeName(app, machine, edit.name);
  if (edit.network !== undefined) requireNetwork(app, machine.hypervisor_id, edit.network);
  const domain = await agent.edit(machine.id, edit);
  app.agents.learn(machine.hypervisor_id, domain, seen);
  const { state: _state, state_reason: _reason, ...facts } = factsOfDomain(machine, domain);
  const { name, osType, video } = edit;
  await store.updateMachine(app.db, machine.id, {
    ...facts,
    ...(name !== undefined && { name, name_key: name.toLowerCase() }),
    ...(osType !== undefined && { os_type: osType }),
    ...(video !== undefined && { video }),
  });
}

async function requireFreeName(app: App, machine: MachineRow, name: string): Promise<void> {
  const key = name.toLowerCase();
  const taken = key !== machine.name_key &&
    ((await store.findNameKeys(app.db, machine.hypervisor_id)).has(key) ||
      app.agents.domains(machine.hypervisor_id).some((domain) => domain.name === name));
  if (!taken) return;
  throw new AppError("conflict", `There is already a machine or domain named ${name} on this hypervisor.`, {
    details: [{ path: "name", message: "is taken" }],
  });
}

/** Disks and their chains, as they are now; none while the domain is still being made. */
export async function getMachineDisks(app: App, id: string): Promise<MachineDisk[]> {
  const machine = await requireMachine(app, id);
  const agent = app.agents.of(machine.hypervisor_id);
  return app.agents.domain(id, machine.hypervisor_id) ? await agent.disks(id) : [];
}

/** The live XML without secrets. */
export async function getMachineXml(app: App, id: string): Promise<string> {
  const machine = await requireMachine(app, id);
  return await app.agents.of(machine.hypervisor_id).xml(id);
}
