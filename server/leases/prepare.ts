/** Makes a leased machine usable: started, booted, its display reachable. Driven by the agent's events. */
import { setTimeout as wait } from "node:timers/promises";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { powerMachine, startMachine } from "../machines/power.ts";
import { readClones } from "./store.ts";

export interface BootTimes {
  /** How long a guest that is known to have a guest agent may take to connect it before it is shown anyway. */
  withAgentMs: number;
  /** How long after its start a guest without an agent is shown: its boot can be watched. */
  withoutAgentMs: number;
  /** A second of the setting `desktopStartSeconds`; tests make it shorter. */
  secondMs: number;
}
export const defaultBootTimes: BootTimes = { withAgentMs: 20_000, withoutAgentMs: 3_000, secondMs: 1_000 };
const connectMs = 10_000;

/** Remembers which machines have ever shown a guest agent, so that nobody waits for one that does not exist. */
export class GuestAgents {
  #seen = new Set<string>();
  readonly close: () => void;

  constructor(private readonly app: Pick<App, "agents" | "db">) {
    this.close = app.agents.listen((change) => {
      if (change.type !== "domains") return;
      for (const id of change.ids) {
        if (app.agents.domain(id, change.hypervisorId)?.domain.guestAgent) this.#seen.add(id);
      }
    });
  }

  /** Whether the machine, or another clone of its image, has had a guest agent. */
  async expectedOn(machineId: string): Promise<boolean> {
    return this.#seen.has(machineId) ||
      (await readClones(this.app.db, machineId)).some((id) => this.#seen.has(id));
  }
}

/**
 * Starts the machine if it does not run, and returns when its display is worth looking at. A machine that runs already
 * is ready at once.
 * @throws what starting it failed with, or the signal's reason
 */
export async function prepareMachine(
  app: App,
  machine: { id: string; hypervisorId: string },
  guestAgents: GuestAgents,
  times: BootTimes,
  signal: AbortSignal,
  report: (stage: "starting" | "booting") => Promise<void>,
): Promise<void> {
  const { domain } = await untilKnown(app, machine, signal);
  if (domain.state === "running") return;
  await report("starting");
  if (domain.state === "paused" || domain.state === "suspended") {
    await powerMachine(app, machine.id, { action: "resume" }, null);
  } else await startMachine(app, machine.id, signal);
  await app.agents.waitForDomain(machine.id, ({ domain }) => domain.state === "running", signal);
  await report("booting");
  const graceMs = await guestAgents.expectedOn(machine.id) ? times.withAgentMs : times.withoutAgentMs;
  await untilBooted(app, machine.id, graceMs, signal);
}

/** Right after a start of the dashboard the agents are being connected. @throws {AppError} `unavailable` */
async function untilKnown(app: App, machine: { id: string; hypervisorId: string }, signal: AbortSignal) {
  const soon = AbortSignal.any([signal, AbortSignal.timeout(connectMs)]);
  try {
    return await app.agents.waitForDomain(machine.id, () => true, soon);
  } catch (error) {
    if (signal.aborted) throw error;
    app.agents.of(machine.hypervisorId);
    throw new AppError("unavailable", "The machine of this desktop is missing on its hypervisor.");
  }
}

/**
 * The guest agent answers, or the time is up that a guest without one gets.
 * @throws {AppError} `hypervisor_failed` when the machine stops instead
 */
async function untilBooted(app: App, machineId: string, graceMs: number, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  try {
    const live = await Promise.race([
      app.agents.waitForDomain(
        machineId,
        ({ domain }) => domain.guestAgent || domain.state === "shut-off" || domain.state === "crashed",
        either,
      ),
      wait(graceMs, null, { signal: either }),
    ]);
    if (!live || live.domain.state === "running") return;
    throw new AppError("hypervisor_failed", `${live.domain.name} stopped while it was booting.`);
  } finally {
    enough.abort();
  }
}
