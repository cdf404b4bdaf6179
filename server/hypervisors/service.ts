import type { z } from "zod";
import { agentContract, type Hello } from "../../contracts/agent.ts";
import type { ListQuery, Page } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import {
  HostKey,
  type Hypervisor,
  type ImageFile,
  type ImportableDomain,
  type SshTarget,
} from "../../contracts/hypervisor.ts";
import { isPacked, readCommit, version } from "../../lib/version.ts";
import type { AgentAddress } from "../agents/connections.ts";
import { withFingerprint } from "../agents/ssh/host_key.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import { capacityOf, committedOn, nothingCommitted } from "./capacity.ts";
import { drainOf } from "./drain.ts";
import * as store from "./store.ts";

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
  const jobs = app.jobs.holds();
  const commit = isPacked ? await readCommit() : null;
  const committed = committedOn(app);
  return await Promise.all(rows.map(async (row) => {
    const status = app.agents.status(row.id);
    const { total, running } = counts.get(row.id) ?? { total: 0, running: 0 };
    const ssh = sshOf(row);
    return {
      id: row.id,
      name: row.name,
      address: ssh?.address ?? "local",
      ssh: ssh && { ...ssh, hostKey: withFingerprint(ssh.hostKey) },
      socketPath: row.socket_path,
      state: status.state,
      stateReason: status.reason,
      stateSince: status.since,
      maintenance: row.maintenance === 1,
      drain: await drainOf(app, row),
      agentVersion: status.hello?.version ?? null,
      agentCommit: status.hello?.commit ?? null,
      agentContract: status.hello?.contract ?? null,
      agentOutdated: status.hello !== null && isOutdated(status.hello, commit),
      jobId: jobs.get(row.id) ?? null,
      displayAddress: row.display_address,
      capacity: capacityOf(row),
      committed: committed.get(row.id) ?? nothingCommitted,
      facts: status.facts,
      load: status.load,
      defaultNetwork: row.default_network,
      machineCount: total,
      runningCount: running,
      createdAt: row.created_at,
    };
  }));
}

/** From the sources (no commit of its own) every program of the same version is as good. */
const isOutdated = (hello: Hello, commit: string | null): boolean =>
  hello.contract < agentContract || hello.version !== version || (commit !== null && hello.commit !== commit);

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

/** Where its agent is reached. */
export const addressOf = (row: HypervisorRow): AgentAddress => ({
  id: row.id,
  name: row.name,
  socketPath: row.socket_path,
  ssh: sshOf(row),
});

/** null: on the dashboard's own host. */
export function sshOf(row: HypervisorRow): SshTarget | null {
  if (row.ssh_address === null) return null;
  return {
    address: row.ssh_address,
    port: row.ssh_port!,
    username: row.ssh_username!,
    hostKey: HostKey.pick({ algorithm: true, key: true }).parse(JSON.parse(row.ssh_host_key!)),
  };
}

/** @throws {AppError} `conflict` while machines belong to it. */
export async function deleteHypervisor(app: App, id: string, actor: Actor): Promise<void> {
  const row = await requireHypervisor(app, id);
  if (!await store.deleteHypervisorRow(app.db, id)) {
    const count = (await store.countMachines(app.db)).get(id)?.total ?? 0;
    const why = count > 0
      ? `${count} machines belong to it. Delete them first, or keep their disks and forget them with 'keep disks'.`
      : "image versions or personal data disks lie on it. Delete them, or move them to another hypervisor, first.";
    throw new AppError("conflict", `${row.name} cannot be removed: ${why}`);
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
