/** An admin's view of a machine's display. */
import type { Connection } from "../../contracts/desktop.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import { makeConnection } from "../gateway/connection.ts";
import { requireMachine } from "./service.ts";

/**
 * A one-time connection to the machine's display.
 * @throws {AppError} `conflict` if it is not running, `unavailable` if its hypervisor is offline.
 */
export async function openConsole(app: App, id: string, actor: Actor): Promise<Connection> {
  const machine = await requireMachine(app, id);
  const target = { id, name: machine.name, hypervisorId: machine.hypervisor_id };
  const connection = await makeConnection(app, target, actor.id, null);
  await audit(app, { actor, action: "machine.console", subjectId: id, subjectName: machine.name });
  return connection;
}

/** Closes every display connection of the machine, and voids the tickets for it. */
export async function kickViewers(app: App, id: string, actor: Actor): Promise<void> {
  const machine = await requireMachine(app, id);
  app.tickets.revoke({ machineId: id }, "kicked");
  await app.agents.of(machine.hypervisor_id).kick(id);
  await audit(app, { actor, action: "machine.kick", subjectId: id, subjectName: machine.name });
}
