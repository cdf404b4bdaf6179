import type { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { Hypervisor, UpdateHypervisor } from "../../contracts/hypervisor.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { HypervisorRow } from "../db/schema.ts";
import { capacityColumns, capacityOf } from "./capacity.ts";
import { isTaken } from "./create.ts";
import { startDrain, stopDrain } from "./drain.ts";
import { addressOf, getHypervisor, requireHypervisor, requireNetwork, sshOf } from "./service.ts";
import * as store from "./store.ts";

type Changes = z.output<typeof UpdateHypervisor>;

/**
 * Changes a hypervisor. The settings of its agent come first: only they can fail for a reason of the host's.
 * @throws {AppError} `invalid` naming the field; `conflict` if a name or address is taken; `unavailable` if its agent is to
 * be changed and cannot be reached.
 */
export async function updateHypervisor(
  app: App,
  id: string,
  changes: Changes,
  actor: Actor,
): Promise<Hypervisor> {
  const row = await requireHypervisor(app, id);
  const { name, defaultNetwork, settings } = changes;
  if (defaultNetwork) requireNetwork(app, id, defaultNetwork, "defaultNetwork");
  const columns = columnsOf(row, changes);
  const agentSettings = {
    ...settings,
    ...(changes.displayAddress !== undefined && displayListen(row, changes.displayAddress)),
  };
  if (Object.keys(agentSettings).length > 0) await app.agents.of(id).changeSettings(agentSettings);
  const taken = await store.updateHypervisorRow(app.db, id, columns);
  if (taken) throw isTaken(taken);
  if (name !== undefined) app.agents.rename(id, name);
  if (changes.ssh) await app.agents.move(addressOf(await requireHypervisor(app, id)));
  app.bus.publish({ type: "hypervisor", id });
  if (changes.drain) await startDrain(app, id, changes.drain, actor);
  else if (changes.drain === null || changes.maintenance !== undefined) await stopDrain(app, id, actor);
  await audit(app, {
    actor,
    action: "hypervisor.update",
    subjectId: id,
    subjectName: row.name,
    detail: Object.entries(changes).map(([key, value]) => `${key}: ${inWords(value)}`).join(", "),
  });
  return await getHypervisor(app, id);
}

/** Viewers can come to an address only where displays listen on it. */
function displayListen({ display_address }: HypervisorRow, displayAddress: string | null) {
  if ((display_address === null) === (displayAddress === null)) return {};
  return { displayListen: displayAddress === null ? "loopback" as const : "all" as const };
}

function columnsOf(row: HypervisorRow, changes: Changes): Partial<HypervisorRow> {
  const { name, maintenance, defaultNetwork, displayAddress, capacity } = changes;
  return {
    ...(name !== undefined && { name, name_key: name.toLowerCase() }),
    ...(maintenance !== undefined && { maintenance: maintenance ? 1 : 0 }),
    ...(defaultNetwork !== undefined && { default_network: defaultNetwork === "" ? null : defaultNetwork }),
    ...(displayAddress !== undefined && { display_address: displayAddress }),
    ...(capacity && capacityColumns({ ...capacityOf(row), ...capacity })),
    ...(changes.ssh && sshColumns(row, changes.ssh)),
  };
}

function sshColumns(row: HypervisorRow, changes: NonNullable<Changes["ssh"]>): Partial<HypervisorRow> {
  const known = sshOf(row);
  if (!known) {
    const message = "the agent of this hypervisor is on the dashboard's own host";
    throw new AppError("invalid", `ssh: ${message}`, { details: [{ path: "ssh", message }] });
  }
  const { address, port, username, hostKey } = { ...known, ...changes };
  return {
    ssh_address: address,
    ssh_port: port,
    ssh_username: username,
    ssh_host_key: JSON.stringify(hostKey),
  };
}

const inWords = (value: unknown) =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
