/** Switching machines on and off, for admins, for the broker and for jobs that hold them. */
import type { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { JobItem } from "../../contracts/job.ts";
import type { PowerRequest } from "../../contracts/machine.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import { populateClones } from "../images/populate.ts";
import { requireUnsealed } from "../images/versions.ts";
import type { LocalOperation } from "../jobs/service.ts";
import type { StartOptions } from "../starts/starts.ts";
import { command } from "./command.ts";
import { requireMachine, requireNotHeld } from "./service.ts";

/**
 * Starts a machine, with a virtual snapshot if its flag says so, when it is its turn. Returns once the agent has started
 * it; one that runs already is fine.
 * @throws {AppError} `conflict` if a job works on it, it has nothing to boot from, or its disk is the base of clones;
 * `no_capacity` if its hypervisor is full.
 */
export async function startMachine(app: App, id: string, options: StartOptions): Promise<void> {
  await start(app, await requireMachine(app, id), options, (machine) => requireNotHeld(app, machine));
}

/**
 * Carries a power action out; a shutdown is only asked for, and pending until the guest obeys.
 * @param actor null: the dashboard itself, which may hold the machine by a job
 */
export async function powerMachine(
  app: App,
  id: string,
  request: z.input<typeof PowerRequest>,
  actor: Actor | null,
): Promise<void> {
  const machine = await requireMachine(app, id);
  if (actor) requireNotHeld(app, machine);
  if (request.action === "start") {
    await start(
      app,
      machine,
      { priority: "user", signal: app.signal },
      (machine) => actor && requireNotHeld(app, machine),
    );
  } else await command(app, machine, request);
  if (!actor) return;
  await audit(app, {
    actor,
    action: `machine.${request.action}`,
    subjectId: machine.id,
    subjectName: machine.name,
    detail: request.force ? "destroyed when the time is up" : null,
  });
}

/**
 * Brings a desktop back to clean, inside a job that holds it: a virtual snapshot is dropped by powering off, otherwise
 * the overlay is made anew. Machines without an image to go back to are only powered off.
 * @throws {AppError} what the agent refused or failed with; the machine then counts as not clean.
 */
export async function resetMachine(app: App, id: string, operation: LocalOperation): Promise<void> {
  const machine = await requireMachine(app, id);
  for (const step of await operation.earlierSteps()) await app.jobs.ended(step.id, operation.signal);
  const live = app.agents.domain(id, machine.hypervisor_id);
  const dropped = live?.domain.virtualSnapshot === true ||
    machine.virtual_snapshot === 1 && !isUp(live?.domain.state);
  if (isUp(live?.domain.state)) {
    operation.report({ stage: "powering off" });
    await command(app, machine, { action: "destroy" }, operation.signal);
  }
  if (dropped || machine.role !== "vdi") return;
  operation.report({ stage: "making a clean overlay" });
  let failure: string | null = null;
  const note = ({ ok, message }: JobItem) => failure = ok ? null : message;
  await populateClones(app, operation, [machine], note, { orOwnVersion: true });
  if (failure === null) return;
  const code = app.agents.status(machine.hypervisor_id).usable ? "hypervisor_failed" : "unavailable";
  throw new AppError(code, `${machine.name} could not be reset: ${failure}`);
}

const isUp = (state: string | undefined) =>
  state !== undefined && state !== "shut-off" && state !== "crashed";

async function start(
  app: App,
  machine: MachineRow,
  options: StartOptions,
  check: (machine: MachineRow) => void,
): Promise<void> {
  const startNow = async (machine: MachineRow) => {
    check(machine);
    await requireStartable(app, machine);
    const virtualSnapshot = machine.virtual_snapshot === 1;
    await command(app, machine, { action: "start", virtualSnapshot }, options.signal);
  };
  // Its agent answers at once then, with what is wrong or that all is well.
  if (isUp(app.agents.domain(machine.id, machine.hypervisor_id)?.domain.state)) {
    return await startNow(machine);
  }
  check(machine);
  await requireStartable(app, machine);
  // Much may have changed by the time that it is its turn.
  await app.starts.run(machine, options, async () => await startNow(await requireMachine(app, machine.id)));
}

async function requireStartable(app: App, machine: MachineRow): Promise<void> {
  const { name, role } = machine;
  if (role === "vdi" && machine.populated_at === null) {
    throw new AppError("conflict", `${name} cannot be started: it has no overlay yet. Populate it first.`);
  }
  if (role === "initial" && machine.disk_path === null) {
    throw new AppError(
      "conflict",
      `${name} cannot be started: it has no disk yet. Copy the source's disk first.`,
    );
  }
  if (role === "initial" && machine.virtual_snapshot === 0) await requireUnsealed(app, machine);
}
