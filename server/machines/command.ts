/** One power command to an agent, and what follows for the machine's row. */
import type { PowerCommand } from "../../contracts/agent.ts";
import type { App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import { recordDomains } from "./live.ts";

/** Returns once the agent has carried it out; a shutdown is only asked for. @throws {AppError} the agent's refusal */
export async function command(
  app: App,
  machine: MachineRow,
  power: PowerCommand,
  signal?: AbortSignal,
): Promise<void> {
  const agent = app.agents.of(machine.hypervisor_id);
  const seen = app.agents.domain(machine.id, machine.hypervisor_id);
  const domain = await agent.power(machine.id, power, signal);
  app.agents.learn(machine.hypervisor_id, domain, seen);
  await recordDomains(app, machine.hypervisor_id, [machine.id]);
}
