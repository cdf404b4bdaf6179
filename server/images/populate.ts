/** Populate: the overlays of vdi machines, made anew on their initial's current image. */
import { z } from "zod";
import type { AgentOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Job, JobItem } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { MachineRow } from "../db/schema.ts";
import type { EndedJob } from "../jobs/service.ts";
import { recordDomains } from "../machines/live.ts";
import {
  aRole,
  changeMachines,
  findDerivedMachines,
  findLeaseHolders,
  findMachineRows,
  requireMachine,
} from "../machines/service.ts";

const Input = z.object({ basePath: z.string() });

export interface PopulateStep {
  request: AgentOperation;
  /** What is needed when it has ended. */
  input: z.output<typeof Input>;
}

/**
 * What an agent is asked to do for clones of one initial.
 * @throws {AppError} `conflict` if the initial has no disk yet; `invalid` without an initial.
 */
export async function populateOperation(app: App, clones: readonly MachineRow[]): Promise<PopulateStep> {
  const initial = await requireInitialOf(app, clones[0]!);
  if (initial.disk_path === null) {
    throw new AppError(
      "conflict",
      `${initial.name} has no disk yet, so nothing can be populated from it. Copy the disk from its source first.`,
    );
  }
  const machineIds = clones.map(({ id }) => id);
  return {
    request: { kind: "populate", initialId: initial.id, machineIds },
    input: { basePath: initial.disk_path },
  };
}

async function requireInitialOf(app: App, machine: MachineRow): Promise<MachineRow> {
  if (machine.role !== "vdi" || machine.source_id === null) {
    throw new AppError("invalid", `${machine.name} is not a vdi machine with an initial.`);
  }
  return await requireMachine(app, machine.source_id);
}

/**
 * Recreates the overlays of an initial's vdi machines (all, or those named), or of one vdi itself. Machines that are in
 * use are left as they are and told in the job's items with the reason.
 * @throws {AppError} `invalid` for another role or a machine that is not its clone; `conflict` if none can be populated.
 */
export async function populate(
  app: App,
  id: string,
  machineIds: readonly string[] | undefined,
  actor: Actor,
): Promise<Job> {
  const machine = await requireMachine(app, id);
  const clones = await clonesOf(app, machine, machineIds);
  app.agents.of(machine.hypervisor_id);
  const { ready, refused } = await sortOut(app, clones);
  if (ready.length === 0) {
    const [first] = refused;
    throw new AppError("conflict", `Nothing was populated: ${first!.name}: ${first!.message}`, {
      details: refused.map((item) => ({ path: item.name, message: item.message ?? "" })),
    });
  }
  const { request, input } = await populateOperation(app, ready);
  const job = await app.jobs.delegate(
    {
      kind: "populate",
      subject: { id, name: machine.name },
      by: actor,
      machineIds: ready.map((clone) => clone.id),
      items: refused,
      input,
      progress: { stage: "waiting for the agent", total: ready.length, unit: "items" },
    },
    machine.hypervisor_id,
    request,
  );
  await audit(app, {
    actor,
    action: "machine.populate",
    subjectId: id,
    subjectName: machine.name,
    detail: `${ready.length} machines`,
  });
  return job;
}

async function clonesOf(
  app: App,
  machine: MachineRow,
  machineIds: readonly string[] | undefined,
): Promise<MachineRow[]> {
  if (machine.role === "vdi") return [machine];
  if (machine.role !== "initial") {
    throw new AppError(
      "invalid",
      `${machine.name} is ${aRole(machine.role)}: only initial and vdi machines are populated.`,
    );
  }
  const clones = (await findDerivedMachines(app, machine.id)).filter(({ role }) => role === "vdi");
  const wanted = machineIds === undefined ? null : new Set(machineIds);
  const chosen = wanted === null ? clones : clones.filter((clone) => wanted.has(clone.id));
  if (wanted !== null && chosen.length < wanted.size) {
    const message = `${wanted.size - chosen.length} of them are not vdi machines of ${machine.name}`;
    throw new AppError("invalid", `machineIds: ${message}.`, { details: [{ path: "machineIds", message }] });
  }
  if (chosen.length > 0) return chosen;
  throw new AppError("conflict", `${machine.name} has no vdi machines to populate. Create some first.`);
}

/** Tells machines that can be populated now from those that are in use. */
export async function sortOut(
  app: App,
  clones: readonly MachineRow[],
): Promise<{ ready: MachineRow[]; refused: JobItem[] }> {
  const holders = await findLeaseHolders(app, clones.map(({ id }) => id));
  const holds = app.jobs.holds();
  const ready: MachineRow[] = [];
  const refused: JobItem[] = [];
  for (const clone of clones) {
    const { usable } = app.agents.status(clone.hypervisor_id);
    const state = app.agents.domain(clone.id, clone.hypervisor_id)?.domain.state ??
      (usable ? "missing" : "offline");
    const reason = reasonAgainst(state, holders.get(clone.id), holds.has(clone.id));
    if (reason === null) ready.push(clone);
    else refused.push({ id: clone.id, name: clone.name, ok: false, message: reason });
  }
  return { ready, refused };
}

function reasonAgainst(state: string, holder: string | undefined, held: boolean): string | null {
  if (holder !== undefined) return `it is in use by ${holder}. End the lease first.`;
  if (held) return "a job works on it. Wait for the job first.";
  if (state === null) {
    return "its domain is missing on the hypervisor. Delete the machine and create it again.";
  }
  if (state === "shut-off" || state === "crashed") return null;
  return `it is ${state}. Shut it down first.`;
}

/** Notes which overlays were made. */
export async function settlePopulate(app: App, ended: EndedJob): Promise<void> {
  const { basePath } = Input.parse(ended.input);
  const made = ended.items.filter(({ ok }) => ok).map(({ id }) => id);
  const now = app.now();
  const rows = await findMachineRows(app, made);
  await changeMachines(
    app,
    new Map(rows.map((row) => {
      const disks = app.agents.domain(row.id, row.hypervisor_id)?.domain.disks ?? [];
      const backing = disks.find(({ device }) => device === "disk")?.backingPath;
      return [row.id, { populated_at: now, base_path: backing ?? basePath }];
    })),
  );
  if (ended.hypervisorId !== null) await recordDomains(app, ended.hypervisorId, made);
}
