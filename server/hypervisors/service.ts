import type { z } from "zod";
import { agentContract } from "../../contracts/agent.ts";
import type { ListQuery, Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type {
  CreateHypervisor,
  Hypervisor,
  ImageFile,
  ImportableDomain,
  UpdateHypervisor,
} from "../../contracts/hypervisor.ts";
import type { AgentAddress } from "../agents/connections.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import * as store from "./store.ts";

const helloTimeoutMs = 5000;

/** @throws {AppError} `not_found`. */
export async function requireHypervisor(app: Pick<App, "db">, id: string): Promise<HypervisorRow> {
  const row = await store.findHypervisor(app.db, id);
  if (!row) throw new AppError("not_found", "There is no such hypervisor.");
  return row;
}

export const listHypervisorRows = (app: Pick<App, "db">): Promise<HypervisorRow[]> =>
  store.findHypervisors(app.db);

/** Renders these hypervisors, or all, by name. */
export async function renderHypervisors(app: App, ids?: readonly string[]): Promise<Hypervisor[]> {
  const rows = await store.findHypervisors(app.db);
  return await renderRows(app, ids ? rows.filter((row) => ids.includes(row.id)) : rows);
}

async function renderRows(app: App, rows: readonly HypervisorRow[]): Promise<Hypervisor[]> {
  const counts = await store.countMachines(app.db);
  return rows.map((row) => {
    const status = app.agents.status(row.id);
    const { total, running } = counts.get(row.id) ?? { total: 0, running: 0 };
    return {
      id: row.id,
      name: row.name,
      address: "local",
      state: status.state,
      stateReason: status.reason,
      stateSince: status.since,
      maintenance: row.maintenance === 1,
      agentVersion: status.hello?.version ?? null,
      agentContract: status.hello?.contract ?? null,
      agentOutdated: status.hello !== null && status.hello.contract < agentContract,
      facts: status.facts,
      load: status.load,
      defaultNetwork: row.default_network,
      machineCount: total,
      runningCount: running,
      createdAt: row.created_at,
    };
  });
}

export async function listHypervisors(
  app: App,
  query: z.output<typeof ListQuery>,
): Promise<Page<Hypervisor>> {
  const page = await store.listHypervisorRows(app.db, query);
  return { ...page, items: await renderRows(app, page.items) };
}

export async function getHypervisor(app: App, id: string): Promise<Hypervisor> {
  const [hypervisor] = await renderRows(app, [await requireHypervisor(app, id)]);
  return hypervisor!;
}

export const addressOf = (row: HypervisorRow): AgentAddress => ({
  id: row.id,
  name: row.name,
  socketPath: row.socket_path,
});

/**
 * Adds a hypervisor after its agent has answered, and connects to it.
 * @throws {AppError} `invalid` naming the field if nothing answers there or it speaks another contract; `conflict` if the
 * name or socket is known already.
 */
export async function createHypervisor(
  app: App,
  { name, socketPath }: z.output<typeof CreateHypervisor>,
  actor: Actor | null,
): Promise<Hypervisor> {
  await requireAgentAt(app, socketPath);
  const row = await saveHypervisor(app, name, socketPath);
  await audit(app, {
    actor,
    action: "hypervisor.create",
    subjectId: row.id,
    subjectName: name,
    detail: socketPath,
  });
  return await getHypervisor(app, row.id);
}

/** Makes sure that the hypervisor of this host is known, whether its agent is up yet or not. */
export async function ensureLocalHypervisor(app: App, name: string, socketPath: string): Promise<void> {
  const rows = await store.findHypervisors(app.db);
  if (rows.some((row) => row.socket_path === socketPath)) return;
  const taken = rows.some((row) => row.name_key === name.toLowerCase());
  await saveHypervisor(app, taken ? `${name} (${socketPath})` : name, socketPath);
}

async function saveHypervisor(app: App, name: string, socketPath: string): Promise<HypervisorRow> {
  const row: HypervisorRow = {
    id: crypto.randomUUID(),
    name,
    name_key: name.toLowerCase(),
    socket_path: socketPath,
    maintenance: 0,
    default_network: null,
    created_at: app.now(),
  };
  const taken = await store.insertHypervisor(app.db, row);
  if (taken) {
    throw new AppError(
      "conflict",
      `There is already a hypervisor with this ${taken === "name" ? "name" : "socket"}.`,
      {
        details: [{ path: taken, message: "is taken" }],
      },
    );
  }
  app.agents.add(addressOf(row));
  app.bus.publish({ type: "hypervisor", id: row.id });
  return row;
}

async function requireAgentAt(app: App, socketPath: string): Promise<void> {
  const refuse = (message: string, cause?: unknown) =>
    new AppError("invalid", `The hypervisor was not added: ${message}`, {
      cause,
      details: [{ path: "socketPath", message }],
    });
  let contract: number;
  try {
    ({ contract } = await app.agents.probe(socketPath).hello(AbortSignal.timeout(helloTimeoutMs)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw refuse(`no agent answers on ${socketPath} (${why}). Is kvm-vdi agent running there?`, error);
  }
  if (contract !== agentContract) {
    throw refuse(
      `the agent speaks contract ${contract}, this dashboard ${agentContract}. Update the older one.`,
    );
  }
}

export async function updateHypervisor(
  app: App,
  id: string,
  changes: z.output<typeof UpdateHypervisor>,
  actor: Actor,
): Promise<Hypervisor> {
  const row = await requireHypervisor(app, id);
  const { name, maintenance, defaultNetwork } = changes;
  if (defaultNetwork) requireNetwork(app, id, defaultNetwork, "defaultNetwork");
  const saved = await store.updateHypervisorRow(app.db, id, {
    ...(name !== undefined && { name, name_key: name.toLowerCase() }),
    ...(maintenance !== undefined && { maintenance: maintenance ? 1 : 0 }),
    ...(defaultNetwork !== undefined && { default_network: defaultNetwork === "" ? null : defaultNetwork }),
  });
  if (!saved) {
    throw new AppError("conflict", `There is already a hypervisor named ${name}.`, {
      details: [{ path: "name", message: "is taken" }],
    });
  }
  if (name !== undefined) app.agents.rename(id, name);
  app.bus.publish({ type: "hypervisor", id });
  const detail = Object.entries(changes).map(([key, value]) => `${key}: ${value}`).join(", ");
  await audit(app, { actor, action: "hypervisor.update", subjectId: id, subjectName: row.name, detail });
  return await getHypervisor(app, id);
}

/** @throws {AppError} `conflict` while machines belong to it. */
export async function deleteHypervisor(app: App, id: string, actor: Actor): Promise<void> {
  const row = await requireHypervisor(app, id);
  if (!await store.deleteHypervisorRow(app.db, id)) {
    const count = (await store.countMachines(app.db)).get(id)?.total ?? 0;
    throw new AppError(
      "conflict",
      `${row.name} cannot be removed: ${count} machines belong to it. Delete them first, or keep their disks and ` +
        "forget them with 'keep disks'.",
    );
  }
  await app.agents.remove(id);
  app.bus.publish({ type: "hypervisor-removed", id });
  await audit(app, { actor, action: "hypervisor.delete", subjectId: id, subjectName: row.name });
}

/** ISO and disk images that a machine can be made of. */
export async function listImageFiles(app: App, id: string): Promise<ImageFile[]> {
  await requireHypervisor(app, id);
  return await app.agents.of(id).imageFiles();
}

/** Domains that are not managed yet, from the live picture. */
export async function listImportableDomains(
  app: App,
  id: string,
): Promise<z.output<typeof ImportableDomain>[]> {
  await requireHypervisor(app, id);
  app.agents.of(id);
  return app.agents.domains(id).filter((domain) => !domain.managed && domain.persistent)
    .sort((one, other) => one.name.localeCompare(other.name))
    .map(({ id, name, state, memoryMiB, disks }) => ({
      id,
      name,
      state,
      memoryMiB,
      disks: disks.flatMap(({ device, path }) => device === "disk" && path !== null ? [path] : []),
    }));
}

/** The network of a machine without any. */
export const noNetwork = "none";

/** @throws {AppError} `invalid` naming the field unless the hypervisor has this network, as far as is known. */
export function requireNetwork(
  app: Pick<App, "agents">,
  hypervisorId: string,
  network: string,
  path = "network",
): void {
  const networks = app.agents.status(hypervisorId).facts?.networks;
  if (!networks || network === "none") return;
  const names = networks.map(({ kind, name }) => kind === "bridge" ? `bridge:${name}` : name);
  if (names.includes(network)) return;
  const message = `the hypervisor has no network ${network}; it has ${[...names, noNetwork].join(", ")}`;
  throw new AppError("invalid", `${path}: ${message}`, { details: [{ path, message }] });
}
