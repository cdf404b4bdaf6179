import type { Connection } from "../../contracts/desktop.ts";
import { gatewayPaths } from "../../contracts/gateway.ts";
import type { App } from "../app.ts";
import { requireHypervisor } from "../hypervisors/service.ts";

/** The display password outlives the ticket by this much: a viewer's further channels come after its first. */
const graceSeconds = 30;
/** What native viewers put behind the ticket in CONNECT; the gateway knows the real port. */
const anyPort = 5900;

interface MachineToOpen {
  id: string;
  name: string;
  hypervisorId: string;
}

/**
 * Opens a machine's display to one viewer: a one-time password on the live domain and a one-time ticket of the gateway.
 * @param leaseId the user's lease; null for an admin's console
 * @throws {AppError} `conflict` if the machine is not running, `unavailable` if its hypervisor is offline
 */
export async function makeConnection(
  app: Pick<App, "agents" | "tickets" | "settings" | "now" | "db">,
  machine: MachineToOpen,
  userId: string,
  leaseId: string | null,
): Promise<Connection> {
  const ttlSeconds = app.settings.current().displayTicketSeconds;
  const display = await app.agents.of(machine.hypervisorId).ticket(machine.id, {
    ttlSeconds: Math.min(600, ttlSeconds + graceSeconds),
  });
  const expiresAt = app.now() + ttlSeconds * 1000;
  const ticket = app.tickets.issue({
    machineId: machine.id,
    hypervisorId: machine.hypervisorId,
    userId,
    leaseId,
    host: display.host,
    port: display.port,
    expiresAt,
  });
  return {
    protocol: display.protocol,
    machineId: machine.id,
    machineName: machine.name,
    title: machine.name,
    webSocketPath: gatewayPaths.console(ticket),
    proxyHost: ticket,
    proxyPort: anyPort,
    password: display.password,
    expiresAt,
    direct: display.direct ? await directAddress(app, machine.hypervisorId, display.port) : null,
  };
}

/** null: an admin wants everything to go through the gateway. */
async function directAddress(app: Pick<App, "db">, hypervisorId: string, port: number) {
  const { display_address: host } = await requireHypervisor(app, hypervisorId);
  return host === null ? null : { host, port };
}
