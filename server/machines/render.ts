/** Machines as the API shows them: the row, what belongs to it, and the live domain. */
import type { Machine } from "../../contracts/machine.ts";
import type { LiveDomain } from "../agents/connections.ts";
import type { App } from "../app.ts";
import { findDataDisksOf } from "../data_disks/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { findAllMachines, findMachines, findRelations, type MachineRelations } from "./store.ts";

/** Renders these machines, in this order, without those that do not exist; or all, by name. */
export async function renderMachines(app: App, ids?: readonly string[]): Promise<Machine[]> {
  if (ids === undefined) return await renderRows(app, await findAllMachines(app.db));
  const rows = new Map((await findMachines(app.db, ids)).map((row) => [row.id, row]));
  return await renderRows(app, ids.flatMap((id) => rows.get(id) ?? []));
}

/** Renders rows with a fixed number of queries. */
export async function renderRows(app: App, rows: readonly MachineRow[]): Promise<Machine[]> {
  if (rows.length === 0) return [];
  const relations = await findRelations(app.db, rows);
  const dataDisks = await findDataDisksOf(app, rows.map(({ id }) => id));
  const holds = app.jobs.holds();
  return rows.map((row) =>
    renderMachine(
      row,
      relations,
      app.agents.domain(row.id, row.hypervisor_id),
      holds.get(row.id) ?? null,
      app.starts.placeOf(row.id),
      dataDisks.get(row.id) ?? null,
    )
  );
}

function renderMachine(
  row: MachineRow,
  relations: MachineRelations,
  live: LiveDomain | null,
  jobId: string | null,
  startsBefore: number | null,
  dataDisk: Machine["dataDisk"],
): Machine {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    osType: row.os_type,
    hypervisorId: row.hypervisor_id,
    sourceId: row.source_id,
    state: live?.domain.state ?? row.state,
    stateReason: live ? live.domain.stateReason : row.state_reason,
    maintenance: row.maintenance === 1,
    locked: row.locked === 1,
    virtualSnapshot: row.virtual_snapshot === 1,
    vcpus: row.vcpus,
    memoryMiB: row.memory_mib,
    mac: row.mac,
    network: row.network,
    video: row.video,
    iso: row.iso,
    diskBytes: row.disk_bytes,
    populatedAt: row.populated_at,
    outdated: isOutdated(row, relations.currentVersionIds.get(row.source_id ?? "") ?? null),
    imageVersion: versionOf(row, relations),
    dataDisk,
    keptFor: keptForOf(row, relations),
    queuedStart: startsBefore === null ? null : startsBefore + 1,
    addresses: live?.domain.addresses ?? [],
    guestAgent: live?.domain.guestAgent ?? false,
    cpuPercent: live?.load?.cpuPercent ?? null,
    memoryUsedMiB: live?.load?.memoryUsedMiB ?? null,
    viewers: live?.domain.viewers.length ?? 0,
    pendingAction: live?.domain.pendingAction ?? null,
    jobId,
    desktopPools: relations.desktopPools.get(row.id) ?? [],
    lease: relations.leases.get(row.id) ?? null,
    cloneCount: relations.cloneCounts.get(row.id) ?? 0,
    notes: row.notes,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function keptForOf({ kept_for_user_id: userId, kept_until: until }: MachineRow, relations: MachineRelations) {
  const username = userId === null ? undefined : relations.usernames.get(userId);
  return userId === null || until === null || username === undefined ? null : { userId, username, until };
}

function versionOf({ version_id: id }: MachineRow, { versionNumbers }: MachineRelations) {
  const number = id === null ? undefined : versionNumbers.get(id);
  return id === null || number === undefined ? null : { id, number };
}

/** Whether a vdi's overlay lies on another version than the current one of its initial. */
export function isOutdated(row: MachineRow, currentVersionId: string | null): boolean {
  return row.role === "vdi" && row.populated_at !== null && currentVersionId !== null &&
    row.version_id !== currentVersionId;
}
