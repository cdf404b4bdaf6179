/** Makes a leased machine usable: started, booted, its display reachable. Driven by the agent's events. */
import { setTimeout as wait } from "node:timers/promises";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { powerMachine, startMachine } from "../machines/power.ts";
import type { BootTimes } from "../starts/guest_agents.ts";
import { lostAfterMs } from "./lost.ts";

/** How long a domain may take to show up on a hypervisor that is there. */
const appearMs = 10_000;

export interface PreparationSteps {
  /** The machine is there, and has not been started for this. */
  beforeStart(): Promise<void>;
  report(stage: "starting" | "booting"): Promise<void>;
}

/**
 * Starts the machine if it does not run, and returns when its display is worth looking at. A machine that runs already
 * is ready at once.
 * @throws what starting it failed with, or the signal's reason
 */
export async function prepareMachine(
  app: App,
  machine: { id: string; hypervisorId: string },
  times: BootTimes,
  signal: AbortSignal,
  { beforeStart, report }: PreparationSteps,
): Promise<void> {
  await untilKnown(app, machine, signal);
  await beforeStart();
  const { domain } = await untilKnown(app, machine, signal);
  if (domain.state === "running") return;
  if (domain.state === "paused" || domain.state === "suspended") {
    await report("starting");
    await powerMachine(app, machine.id, { action: "resume" }, null);
  } else {
    const onTurn = () => report("starting");
    await startMachine(app, machine.id, { priority: "user", signal, onTurn });
  }
  await app.agents.waitForDomain(machine.id, ({ domain }) => domain.state === "running", signal);
  await report("booting");
  const graceMs = await app.starts.guestAgents.expectedOn(machine.id)
    ? times.withAgentMs
    : times.withoutAgentMs;
  await untilBooted(app, machine.id, graceMs, signal);
}

/**
 * Right after a start of the dashboard the agents are being connected; and a connection that is away for a moment is
 * waited for, so that nobody is moved to another machine for that. @throws {AppError} `unavailable`
 */
async function untilKnown(app: App, machine: { id: string; hypervisorId: string }, signal: AbortSignal) {
  const patienceMs = app.agents.status(machine.hypervisorId).usable ? appearMs : lostAfterMs;
  const soon = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
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
