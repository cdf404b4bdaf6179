/** Adding hypervisors: on this host, and on others over SSH. */
import type { z } from "zod";
import { agentContract } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type {
  CreateHypervisor,
  HostKey,
  Hypervisor,
  SshEndpoint,
  SshTarget,
} from "../../contracts/hypervisor.ts";
import type { Job } from "../../contracts/job.ts";
import { SshFailure } from "../agents/ssh/failure.ts";
import { readHostKey as askForHostKey } from "../agents/ssh/ssh_link.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import { capacityColumns } from "./capacity.ts";
import { checkEnrolment, startEnrolment } from "./enrol.ts";
import { addressOf, getHypervisor, listHypervisorRows } from "./service.ts";
import * as store from "./store.ts";

/** Long enough for a slow host, short enough for somebody who waits. */
const probeTimeoutMs = 15_000;
const hostKeyTimeoutMs = 10_000;

interface Place {
  socketPath: string;
  ssh: SshTarget | null;
}

/**
 * Adds a hypervisor and connects to it: after its agent has answered, or, with `enrol`, to have the agent installed now.
 * @throws {AppError} `invalid` naming the field if nothing answers there or it speaks another contract; `conflict` if the
 * name or the place is known already.
 */
export async function createHypervisor(
  app: App,
  { name, enrol, ...where }: z.output<typeof CreateHypervisor>,
  actor: Actor,
): Promise<{ hypervisor: Hypervisor; job: Job | null }> {
  const place = { socketPath: where.socketPath, ssh: where.ssh ?? null };
  const { socketPath, ssh } = place;
  if (enrol) checkEnrolment(ssh, enrol);
  else await requireAgentAt(app, place);
  const row = await saveHypervisor(app, name, place);
  await audit(app, {
    actor,
    action: "hypervisor.create",
    subjectId: row.id,
    subjectName: name,
    detail: ssh ? `${ssh.username}@${ssh.address}:${ssh.port} ${socketPath}` : socketPath,
  });
  const job = enrol ? await startEnrolment(app, row.id, enrol, actor) : null;
  return { hypervisor: await getHypervisor(app, row.id), job };
}

/** Makes sure that the hypervisor of this host is known, whether its agent is up yet or not. */
export async function ensureLocalHypervisor(app: App, name: string, socketPath: string): Promise<void> {
  const rows = await listHypervisorRows(app);
  if (rows.some((row) => row.ssh_address === null && row.socket_path === socketPath)) return;
  const taken = rows.some((row) => row.name_key === name.toLowerCase());
  await saveHypervisor(app, taken ? `${name} (${socketPath})` : name, { socketPath, ssh: null });
}

/** The key that a host presents, to be confirmed by a person. @throws {AppError} `unavailable` naming the field. */
export async function readHostKey(
  app: Pick<App, "signal">,
  endpoint: z.output<typeof SshEndpoint>,
): Promise<z.infer<typeof HostKey>> {
  const late = AbortSignal.timeout(hostKeyTimeoutMs);
  try {
    return await askForHostKey(endpoint, AbortSignal.any([app.signal, late]));
  } catch (error) {
    if (!late.aborted && !(error instanceof SshFailure)) throw error;
    const why = late.aborted
      ? `${endpoint.address} port ${endpoint.port} does not answer within ${
        hostKeyTimeoutMs / 1000
      } s. Is the ` +
        "host switched on, and does a firewall let SSH through?"
      : (error as SshFailure).message;
    const message = `Reading the SSH host key failed: ${why}`;
    throw new AppError("unavailable", message, {
      cause: error,
      details: [{ path: "address", message: why }],
    });
  }
}

async function saveHypervisor(app: App, name: string, { socketPath, ssh }: Place): Promise<HypervisorRow> {
  const row: HypervisorRow = {
    id: crypto.randomUUID(),
    name,
    name_key: name.toLowerCase(),
    socket_path: socketPath,
    ssh_address: ssh?.address ?? null,
    ssh_port: ssh?.port ?? null,
    ssh_username: ssh?.username ?? null,
    ssh_host_key: ssh && JSON.stringify(ssh.hostKey),
    enrolled_at: null,
    maintenance: 0,
    drain_mode: null,
    drain_since: null,
    drain_ends_at: null,
    default_network: null,
    display_address: null,
    ...capacityColumns(),
    created_at: app.now(),
  };
  const taken = await store.insertHypervisor(app.db, row);
  if (taken) throw isTaken(taken);
  app.agents.add(addressOf(row));
  app.bus.publish({ type: "hypervisor", id: row.id });
  return row;
}

export function isTaken(what: store.Unique): AppError {
  const words = { name: "name", socketPath: "socket", "ssh.address": "address, port and socket" };
  return new AppError("conflict", `There is already a hypervisor with this ${words[what]}.`, {
    details: [{ path: what, message: "is taken" }],
  });
}

/** @throws {AppError} `invalid` naming the field that is the reason. */
async function requireAgentAt(app: App, place: Place): Promise<void> {
  const { socketPath } = place;
  const signal = AbortSignal.any([app.signal, AbortSignal.timeout(probeTimeoutMs)]);
  let contract: number;
  try {
    const link = await app.agents.probe(place, signal);
    try {
      ({ contract } = await link.agent.hello(signal));
    } finally {
      link.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof SshFailure) throw notAdded(fieldOf(error), why, error);
    throw notAdded(
      "socketPath",
      `no agent answers on ${socketPath} (${why}). Is kvm-vdi agent running there?`,
      error,
    );
  }
  if (contract === agentContract) return;
  const message =
    `the agent speaks contract ${contract}, this dashboard ${agentContract}. Update the older one.`;
  throw notAdded("socketPath", message);
}

const fieldOf = ({ about }: SshFailure) => about === "socketPath" ? about : `ssh.${about}`;

const notAdded = (path: string, message: string, cause?: unknown) =>
  new AppError("invalid", `The hypervisor was not added: ${message}`, {
    cause,
    details: [{ path, message }],
  });
