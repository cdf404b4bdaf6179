/** Personal data disks: made at first use, attached while they are needed, never to two machines. */
import type { Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Machine } from "../../contracts/machine.ts";
import type { DataDisk } from "../../contracts/storage.ts";
import { AgentUnreachable } from "../agents/unreachable.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { DataDiskRow, MachineRow } from "../db/schema.ts";
import {
  aRole,
  findLeaseHolders,
  findMachineRows,
  requireMachine,
  requireNotHeld,
} from "../machines/service.ts";
import { requireDisk, shapeDisk } from "./files.ts";
import * as store from "./store.ts";

/** A lease as far as its data disk goes. */
export interface DiskHolder {
  userId: string | null;
  username: string;
  desktopPoolId: string | null;
}
interface Place {
  id: string;
  name: string;
  hypervisorId: string;
}

/**
 * Gives a leased machine the data disk that its pool promises: the machine's own or the user's, made at first use and
 * brought to the machine's hypervisor. Without a promise, nothing. Call it before the machine starts, or live.
 * @throws {AppError} `unavailable` while the disk's hypervisor is offline; `conflict` while the user has it elsewhere.
 */
export async function prepareDataDisk(
  app: App,
  lease: DiskHolder,
  machine: Place,
  signal: AbortSignal,
): Promise<void> {
  const policy = lease.desktopPoolId === null ? null : await store.findPolicy(app.db, lease.desktopPoolId);
  const own = await store.findDiskOfMachine(app.db, machine.id);
  if (policy?.scope === "user" && lease.userId !== null) {
    const owner = { scope: "user" as const, machineId: null, userId: lease.userId, name: lease.username };
    const disk = await store.findDiskOfUser(app.db, lease.userId) ??
      await insertDisk(app, owner, policy.bytes, machine.hypervisorId);
    return await attach(app, disk, machine, signal);
  }
  const promised = policy?.scope === "machine" ? policy.bytes : null;
  if (!own && promised === null) return await detachForeign(app, machine.id, null, signal);
  const owner = { scope: "machine" as const, machineId: machine.id, userId: null, name: machine.name };
  await attach(app, own ?? await insertDisk(app, owner, promised!, machine.hypervisorId), machine, signal);
}

/** Takes a user's disk off a machine whose lease has ended. A guest that holds on to it keeps it until it is off. */
export async function releaseDataDisk(app: App, machineId: string): Promise<void> {
  const disk = await store.findAttachedTo(app.db, machineId);
  if (disk?.scope !== "user") return;
  try {
    await detach(app, disk, app.signal);
  } catch (error) {
    app.log.warn({ err: error, machineId, diskId: disk.id }, "a user's data disk stays attached for now");
  }
}

/**
 * Takes a machine's data disk off before it moves; a user's disk is free then.
 * @returns the disk that goes along, or null
 */
export async function parkDataDisk(app: App, machineId: string): Promise<string | null> {
  const attached = await store.findAttachedTo(app.db, machineId);
  if (attached) await detach(app, attached, app.signal);
  return (await store.findDiskOfMachine(app.db, machineId))?.id ?? null;
}

/** Attaches it again where the machine is now; the disk is brought there. */
export async function returnDataDisk(
  app: App,
  diskId: string,
  machine: Place,
  signal: AbortSignal,
): Promise<void> {
  await attach(app, await requireDisk(app, diskId), machine, signal);
}

/** Where the user's data disk is, for the broker: a machine there needs no copying. */
export async function dataDiskHypervisor(app: Pick<App, "db">, userId: string): Promise<string | null> {
  return (await store.findDiskOfUser(app.db, userId))?.hypervisor_id ?? null;
}

/** The disk that each machine has or owns. */
export async function findDataDisksOf(
  app: Pick<App, "db">,
  machineIds: readonly string[],
): Promise<Map<string, NonNullable<Machine["dataDisk"]>>> {
  const rows = await store.findDisksOfMachines(app.db, machineIds);
  const described = ({ id, scope, bytes }: DataDiskRow) => ({ id, scope, bytes });
  const owned = rows.flatMap((row) => row.machine_id ? [[row.machine_id, described(row)] as const] : []);
  const attached = rows.flatMap((row) => row.attached_to ? [[row.attached_to, described(row)] as const] : []);
  return new Map([...owned, ...attached]);
}

interface Owner {
  scope: DataDiskRow["scope"];
  machineId: string | null;
  userId: string | null;
  name: string;
}

/** The row comes first, without a path; its file is made when it is attached. */
async function insertDisk(app: App, owner: Owner, bytes: number, hypervisorId: string): Promise<DataDiskRow> {
  const row: DataDiskRow = {
    id: crypto.randomUUID(),
    scope: owner.scope,
    machine_id: owner.machineId,
    user_id: owner.userId,
    owner_name: owner.name,
    hypervisor_id: hypervisorId,
    path: "",
    bytes,
    attached_to: null,
    created_at: app.now(),
  };
  if (await store.insertDisk(app.db, row)) return row;
  const known = owner.userId !== null
    ? await store.findDiskOfUser(app.db, owner.userId)
    : await store.findDiskOfMachine(app.db, owner.machineId!);
  if (known) return known;
  throw new AppError("conflict", `The data disk of ${owner.name} is being made elsewhere. Try again.`);
}

async function attach(app: App, wanted: DataDiskRow, machine: Place, signal: AbortSignal): Promise<void> {
  await detachForeign(app, machine.id, wanted.id, signal);
  await takeFromOthers(app, wanted, machine, signal);
  requireReachable(app, wanted, machine);
  const disk = await shapeDisk(app, wanted, { bytes: null, hypervisorId: machine.hypervisorId }, signal);
  if (!await store.claimDisk(app.db, disk.id, machine.id)) {
    throw new AppError("conflict", `The data disk of ${disk.owner_name} is in use by another machine.`);
  }
  try {
    await tellAgent(app, machine, disk.path, signal);
  } catch (error) {
    // Whether an agent that did not answer has attached it is not known: it counts as attached.
    if (!(error instanceof AgentUnreachable)) await store.updateDisk(app.db, disk.id, { attached_to: null });
    throw error;
  }
  app.bus.publish({ type: "machines", ids: [machine.id] });
}

/** Somebody else's disk must not stay on a machine that the next user gets. */
async function detachForeign(
  app: App,
  machineId: string,
  wantedId: string | null,
  signal: AbortSignal,
): Promise<void> {
  const attached = await store.findAttachedTo(app.db, machineId);
  if (attached && attached.id !== wantedId) await detach(app, attached, signal);
}

/** @throws {AppError} `conflict` while the disk's user works with it on another machine. */
async function takeFromOthers(
  app: App,
  disk: DataDiskRow,
  machine: Place,
  signal: AbortSignal,
): Promise<void> {
  if (disk.attached_to === null || disk.attached_to === machine.id) return;
  const holder = (await findLeaseHolders(app, [disk.attached_to])).get(disk.attached_to);
  if (holder === undefined) return await detach(app, disk, signal);
  const [other] = await findMachineRows(app, [disk.attached_to]);
  throw new AppError(
    "conflict",
    `The data disk of ${disk.owner_name} is in use on ${
      other?.name ?? "another machine"
    }. End that desktop first.`,
  );
}

function requireReachable(app: App, disk: DataDiskRow, machine: Place): void {
  if (disk.path === "" || disk.hypervisor_id === machine.hypervisorId) return;
  try {
    app.agents.of(disk.hypervisor_id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(
      "unavailable",
      `The data disk of ${disk.owner_name} cannot be brought to ${machine.name} now. ${error.message}`,
      { cause: error },
    );
  }
}

async function detach(app: App, disk: DataDiskRow, signal: AbortSignal): Promise<void> {
  const [machine] = disk.attached_to === null ? [] : await findMachineRows(app, [disk.attached_to]);
  if (machine) {
    const place = { id: machine.id, name: machine.name, hypervisorId: machine.hypervisor_id };
    await tellAgent(app, place, null, signal).catch(ignoreMissing);
  }
  await store.updateDisk(app.db, disk.id, { attached_to: null });
  if (machine) app.bus.publish({ type: "machines", ids: [machine.id] });
}

/** A domain that is gone has no disk. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== "not_found") throw error;
}

async function tellAgent(app: App, machine: Place, path: string | null, signal: AbortSignal): Promise<void> {
  const seen = app.agents.domain(machine.id, machine.hypervisorId);
  const domain = await app.agents.of(machine.hypervisorId).setDataDisk(machine.id, { path }, signal);
  app.agents.learn(machine.hypervisorId, domain, seen);
}

/**
 * Gives a machine a data disk of its own, or makes the one it has larger.
 * @throws {AppError} `invalid` for a smaller one, or a machine that clones are made of; `conflict` while a job holds it.
 */
export async function putDataDisk(app: App, machineId: string, bytes: number, actor: Actor): Promise<void> {
  const machine = await requireMachine(app, machineId);
  requireNotHeld(app, machine);
  requireOwner(machine);
  const place = { id: machine.id, name: machine.name, hypervisorId: machine.hypervisor_id };
  app.agents.of(machine.hypervisor_id);
  const known = await store.findDiskOfMachine(app.db, machineId);
  if (known && bytes < known.bytes) {
    const message = `it has ${known.bytes} bytes already, and a disk never shrinks`;
    throw new AppError("invalid", `The data disk of ${machine.name}: ${message}.`, {
      details: [{ path: "bytes", message }],
    });
  }
  const owner = { scope: "machine" as const, machineId, userId: null, name: machine.name };
  const disk = known ?? await insertDisk(app, owner, bytes, machine.hypervisor_id);
  try {
    await shapeDisk(app, disk, { bytes, hypervisorId: machine.hypervisor_id }, app.signal);
    if (disk.attached_to !== machineId) await attach(app, await requireDisk(app, disk.id), place, app.signal);
  } catch (error) {
    // A disk that was never made is not one; a file of it, if there is one, shows up as a stray.
    if (!known) await store.removeDisk(app.db, disk.id);
    throw error;
  }
  app.bus.publish({ type: "machines", ids: [machineId] });
  await audit(app, {
    actor,
    action: known ? "data-disk.grow" : "data-disk.create",
    subjectId: disk.id,
    subjectName: machine.name,
    detail: `${bytes} bytes`,
  });
}

function requireOwner({ name, role }: MachineRow): void {
  if (role === "vdi" || role === "simple") return;
  throw new AppError("invalid", `${name} is ${aRole(role)}: only vdi and simple machines have data disks.`);
}

export async function listDataDisks(app: App, query: store.DataDiskQuery): Promise<Page<DataDisk>> {
  const page = await store.listDisks(app.db, query);
  return { ...page, items: page.items.map(render) };
}

const render = (row: store.ListedDisk): DataDisk => ({
  id: row.id,
  scope: row.scope,
  machineId: row.machine_id,
  userId: row.user_id,
  ownerName: row.owner_name,
  hypervisorId: row.hypervisor_id,
  bytes: row.bytes,
  attachedTo: row.attached_to === null ? null : { id: row.attached_to, name: row.attached_name ?? "" },
  createdAt: row.created_at,
});

/**
 * Deletes a data disk with everything on it.
 * @throws {AppError} `conflict` while its machine is up or a job works on it; `unavailable` while the hypervisor is away.
 */
export async function deleteDataDisk(app: App, id: string, actor: Actor): Promise<void> {
  const disk = await requireDisk(app, id);
  const refuse = (why: string) =>
    new AppError("conflict", `The data disk of ${disk.owner_name} cannot be deleted: ${why}`);
  if (app.jobs.holderOf(id)) throw refuse("a job works on it. Wait for the job.");
  const [machine] = disk.attached_to === null ? [] : await findMachineRows(app, [disk.attached_to]);
  const state = machine && app.agents.domain(machine.id, machine.hypervisor_id)?.domain.state;
  if (machine && state !== undefined && state !== "shut-off" && state !== "crashed") {
    throw refuse(`${machine.name} uses it and is ${state}. Shut it down first.`);
  }
  await detach(app, disk, app.signal);
  await removeDiskFile(app, disk);
  await store.removeDisk(app.db, id);
  await audit(app, { actor, action: "data-disk.delete", subjectId: id, subjectName: disk.owner_name });
}

async function removeDiskFile(app: App, { path, hypervisor_id, owner_name }: DataDiskRow): Promise<void> {
  if (path === "") return;
  const agent = app.agents.of(hypervisor_id);
  const { items: [item] } = await agent.deleteFiles([path]);
  if (item?.deleted || !(await agent.storage()).some((file) => file.path === path)) return;
  throw new AppError("conflict", `The data disk of ${owner_name} cannot be deleted: ${item?.message}`);
}

/** The disk of a machine that is gone goes too; a user's disk is only free again. What fails stays in the list. */
export async function dropDataDiskOf(app: App, machineId: string): Promise<void> {
  const disk = await store.findDiskOfMachine(app.db, machineId);
  if (!disk) return;
  try {
    await removeDiskFile(app, disk);
    await store.removeDisk(app.db, disk.id);
  } catch (error) {
    app.log.warn({ err: error, machineId, diskId: disk.id }, "the data disk of a deleted machine is left");
  }
}
