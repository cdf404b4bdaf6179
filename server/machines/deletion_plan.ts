/** What goes when a machine is deleted, with everything that is made from it, and what is in the way. */
import { AppError } from "../../contracts/errors.ts";
import type { DeletionPlan } from "../../contracts/image.ts";
import type { StoredFile } from "../../contracts/storage.ts";
import type { App } from "../app.ts";
import { findDataDisksOf } from "../data_disks/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { listHypervisorRows } from "../hypervisors/service.ts";
import { findCopiesOfInitial } from "./deletion_store.ts";
import { findDerivedMachines, findLeaseHolders, nameSome, requireMachine } from "./service.ts";

/** @throws {AppError} `not_found`. */
export async function planDeletion(app: App, id: string): Promise<DeletionPlan> {
  const machine = await requireMachine(app, id);
  const derived = await findDerivedMachines(app, id);
  const machines = machine.role === "initial" ? [...derived, machine] : [machine];
  const disks = await findDataDisksOf(app, machines.map((one) => one.id));
  const dataDisks = machines.flatMap((one) => {
    const disk = disks.get(one.id);
    return disk?.scope === "machine" ? [{ id: disk.id, ownerName: one.name }] : [];
  });
  const obstacles = await findObstacles(app, machines);
  if (machine.role !== "initial" && derived.length > 0) {
    obstacles.push(`${nameSome(derived)} are made from ${machine.name}. Delete those first.`);
  }
  return {
    machines: machines.map(({ id, name, role }) => ({ id, name, role })),
    files: await findFiles(app, machines),
    dataDisks,
    obstacles,
  };
}

/** Why these machines cannot be deleted together now, each in words with the remedy. */
export async function findObstacles(app: App, machines: readonly MachineRow[]): Promise<string[]> {
  const ids = machines.map(({ id }) => id);
  const holders = await findLeaseHolders(app, ids);
  const obstacles = machines.flatMap((machine) => {
    const reason = obstacleOf(app, machine, holders.get(machine.id));
    return reason === null ? [] : [reason];
  });
  const copies = (await Promise.all(ids.map((id) => findCopiesOfInitial(app.db, id)))).flat();
  const involved = new Set([...machines, ...copies].map((one) => one.hypervisor_id));
  for (const { id, name } of await listHypervisorRows(app)) {
    if (!involved.has(id) || app.agents.status(id).usable) continue;
    obstacles.push(`${name} is offline, and some of it lies there. Wait until it is back.`);
  }
  return obstacles;
}

function obstacleOf(app: App, machine: MachineRow, holder: string | undefined): string | null {
  const { id, name, hypervisor_id } = machine;
  if (machine.locked === 1) return `${name} is locked. Unlock it first.`;
  const job = app.jobs.holderOf(id);
  if (job) return `${name} is busy: ${job.kind} is ${job.state}. Wait for the job or cancel it.`;
  if (holder !== undefined) return `${name} is in use by ${holder}. End the lease first.`;
  const state = app.agents.domain(id, hypervisor_id)?.domain.state;
  if (state === undefined || state === "shut-off" || state === "crashed") return null;
  return `${name} is ${state}. Shut it down first.`;
}

/** Their disks and versions, wherever they are; of a hypervisor that is away, as far as it is known. */
async function findFiles(app: App, machines: readonly MachineRow[]): Promise<DeletionPlan["files"]> {
  const names = new Map((await listHypervisorRows(app)).map(({ id, name }) => [id, name]));
  const copies = (await Promise.all(machines.map(({ id }) => findCopiesOfInitial(app.db, id)))).flat();
  const files: DeletionPlan["files"] = [];
  for (const hypervisorId of new Set([...machines, ...copies].map((one) => one.hypervisor_id))) {
    const paths = new Map([
      ...machines.filter((one) => one.hypervisor_id === hypervisorId)
        .flatMap(({ disk_path }) => disk_path === null ? [] : [[disk_path, 0] as const]),
      ...copies.filter((one) => one.hypervisor_id === hypervisorId)
        .map(({ path, allocated_bytes }) => [path, allocated_bytes] as const),
    ]);
    const stored = await storageOf(app, hypervisorId);
    for (const [path, knownBytes] of paths) {
      const file = stored?.get(path);
      if (stored && !file) continue;
      const allocatedBytes = file?.allocatedBytes ?? knownBytes;
      files.push({ path, hypervisorName: names.get(hypervisorId) ?? "", allocatedBytes });
    }
  }
  return files;
}

/** Null while the hypervisor cannot be asked. */
async function storageOf(app: App, hypervisorId: string): Promise<Map<string, StoredFile> | null> {
  try {
    const files = await app.agents.of(hypervisorId).storage();
    return new Map(files.map((file) => [file.path, file]));
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}
