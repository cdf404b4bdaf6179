/** Keeps the rows of machines in line with what the agents tell. Rows are never removed here, whatever an agent says. */
import type { Domain } from "../../contracts/agent.ts";
import type { AgentConnections, ConnectionStatus } from "../agents/connections.ts";
import type { App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import { noNetwork } from "../hypervisors/service.ts";
import { findVersionIdsAt } from "../images/versions.ts";
import { findMachines, findMachinesOn, updateMachines } from "./store.ts";

/** Reason of a machine whose domain an agent is about to define. */
export const beingCreated = "being created";

/** What is due to be looked at on one hypervisor. */
interface Due {
  ids: Set<string>;
  all: boolean;
}

/** Follows the agents from now on; returns the function that ends it and waits for the last write. */
export function followDomains(app: App): () => Promise<void> {
  const due = new Map<string, Due>();
  let writing: Promise<void> | null = null;
  const drain = async () => {
    // A burst of events meets one transaction: what arrives while one is written is written by the next.
    await Promise.resolve();
    for (const [hypervisorId, { ids, all }] of due) {
      due.delete(hypervisorId);
      try {
        await recordDomains(app, hypervisorId, all ? null : [...ids]);
      } catch (error) {
        app.log.error({ err: error, hypervisorId }, "the states of machines could not be recorded");
      }
    }
    writing = null;
  };
  const unlisten = app.agents.listen((change) => {
    if (change.type === "load") {
      app.bus.publish({ type: "machine-load", hypervisorId: change.hypervisorId });
      app.bus.publish({ type: "hypervisor", id: change.hypervisorId, load: true });
    }
    if (change.type === "status") app.bus.publish({ type: "hypervisor", id: change.hypervisorId });
    if (change.type !== "domains") return;
    const entry = due.get(change.hypervisorId) ?? { ids: new Set(), all: false };
    due.set(change.hypervisorId, entry);
    entry.all ||= change.complete;
    for (const id of change.ids) entry.ids.add(id);
    writing ??= drain();
  });
  return async () => {
    unlisten();
    await writing;
  };
}

/** Writes what is known now about these machines of a hypervisor (null: all of them), and tells about it. */
export async function recordDomains(
  app: Pick<App, "db" | "bus" | "agents" | "now">,
  hypervisorId: string,
  ids: string[] | null,
): Promise<void> {
  const rows = ids === null
    ? await findMachinesOn(app.db, hypervisorId)
    : (await findMachines(app.db, ids)).filter((row) => row.hypervisor_id === hypervisorId);
  const status = app.agents.status(hypervisorId);
  const changes = new Map<string, Partial<MachineRow>>();
  for (const row of rows) {
    const change = difference(row, factsOf(row, app.agents, status));
    if (change) changes.set(row.id, { ...change, updated_at: app.now() });
  }
  await addVersions(app, hypervisorId, rows, changes);
  await updateMachines(app.db, changes);
  const told = rows.map((row) => row.id);
  if (told.length > 0) app.bus.publish({ type: "machines", ids: told });
}

/** The version of a machine follows from the file: what a clone's overlay lies on, or what an initial boots from. */
async function addVersions(
  app: Pick<App, "db" | "now">,
  hypervisorId: string,
  rows: readonly MachineRow[],
  changes: Map<string, Partial<MachineRow>>,
): Promise<void> {
  const paths = new Map<string, string>();
  for (const { id, role, base_path, disk_path, version_id } of rows) {
    const change = changes.get(id) ?? {};
    const path = role === "vdi"
      ? change.base_path ?? base_path
      : role === "initial"
      ? change.disk_path ?? disk_path
      : null;
    const moved = change.base_path !== undefined || change.disk_path !== undefined;
    if (path !== null && (moved || version_id === null)) paths.set(id, path);
  }
  const versionIds = await findVersionIdsAt(app, hypervisorId, [...new Set(paths.values())]);
  for (const row of rows) {
    const path = paths.get(row.id);
    const versionId = path === undefined ? undefined : versionIds.get(path) ?? null;
    if (versionId === undefined || versionId === row.version_id) continue;
    changes.set(row.id, { ...changes.get(row.id), version_id: versionId, updated_at: app.now() });
  }
}

/** What a machine's row should say. Without a domain only its state changes: the last known facts stay. */
function factsOf(row: MachineRow, agents: AgentConnections, status: ConnectionStatus): Partial<MachineRow> {
  const live = agents.domain(row.id, row.hypervisor_id);
  if (live) return factsOfDomain(row, live.domain);
  if (!status.usable) return { state: "unknown", state_reason: `the hypervisor is ${status.state}` };
  if (row.state_reason === beingCreated) return {};
  // An agent without libvirt does not know its domains; that says nothing about them.
  if (status.state !== "online") return {};
  return { state: "unknown", state_reason: "domain is missing on the hypervisor" };
}

/** A row's facts as the domain has them. */
export function factsOfDomain(row: MachineRow, domain: Domain): Partial<MachineRow> {
  const disk = domain.disks.find(({ device }) => device === "disk");
  return {
    state: domain.state,
    state_reason: domain.stateReason,
    vcpus: domain.vcpus,
    memory_mib: domain.memoryMiB,
    mac: domain.mac,
    network: domain.network ?? noNetwork,
    iso: domain.iso,
    disk_path: disk?.path ?? null,
    disk_bytes: disk?.virtualBytes ?? (disk?.path === row.disk_path ? row.disk_bytes : null),
    ...(row.role === "vdi" && disk?.backingPath ? { base_path: disk.backingPath } : {}),
  };
}

function difference(row: MachineRow, facts: Partial<MachineRow>): Partial<MachineRow> | null {
  const changed = Object.entries(facts).filter(([key, value]) => row[key as keyof MachineRow] !== value);
  return changed.length === 0 ? null : Object.fromEntries(changed);
}
