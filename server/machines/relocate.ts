/** Bringing a machine's disk to a hypervisor and defining a machine on it there: what moving and copying share. */
import { dirname } from "node:path";
import type { MachineSpec } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { FileIdentity } from "../../contracts/storage.ts";
import type { App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import { removeLeftover } from "../data_disks/files.ts";
import { requireHypervisor, requireNetwork } from "../hypervisors/service.ts";
import { requireIdle } from "../images/copy_disk.ts";
import { ensureCopy, seesSame } from "../images/distribute.ts";
import { requireSuccess, takeStep } from "../images/steps.ts";
import { transferImage } from "../images/transfer.ts";
import { requireVersion } from "../images/versions.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { findLeaseHolders } from "./service.ts";
import { findNameKeys } from "./store.ts";

/**
 * Makes sure that a machine can be taken to a hypervisor under a name.
 * @throws {AppError} `conflict` or `invalid` saying what is in the way; `unavailable` while a hypervisor is away.
 */
export async function requireRelocatable(
  app: App,
  machine: MachineRow,
  target: { hypervisorId: string; name: string },
  verb: "moved" | "copied",
): Promise<void> {
  const hypervisor = await requireHypervisor(app, target.hypervisorId);
  const refuse = (why: string) =>
    new AppError("conflict", `${machine.name} cannot be ${verb} to ${hypervisor.name}: ${why}`);
  requireRole(machine, verb);
  requireIdle(app, machine);
  app.agents.of(target.hypervisorId);
  const holder = (await findLeaseHolders(app, [machine.id])).get(machine.id);
  if (holder !== undefined) throw refuse(`${holder} is using it. End the lease first.`);
  requireNetwork(app, target.hypervisorId, machine.network);
  const live = app.agents.domain(machine.id, machine.hypervisor_id);
  if (!live) throw refuse("its domain is missing. Look at its hypervisor.");
  const disks = live.domain.disks.filter(({ device, path }) => device === "disk" && !isDataDisk(path));
  if (disks.length > 1) throw refuse(`it has ${disks.length} disks, and only the first could go along.`);
  if (machine.role === "vdi" && machine.populated_at !== null && machine.version_id === null) {
    throw refuse("the version below its overlay is not known. Populate it first.");
  }
  const taken = await findNameKeys(app.db, target.hypervisorId);
  const names = app.agents.domains(target.hypervisorId).map(({ name }) => name.toLowerCase());
  if ([...taken, ...names].includes(target.name.toLowerCase())) {
    throw new AppError("conflict", `${hypervisor.name} has a machine named ${target.name} already.`, {
      details: [{ path: "name", message: "is taken" }],
    });
  }
}

function requireRole({ name, role }: MachineRow, verb: "moved" | "copied"): void {
  if (role !== "initial") return;
  throw new AppError(
    "invalid",
    verb === "moved"
      ? `${name} is an initial: it stays where it is. Distribute its versions to other hypervisors instead; clones can ` +
        "then be made there."
      : `${name} is an initial: create another initial from its source instead.`,
  );
}

const isDataDisk = (path: string | null) => /-[0-9a-f]{8}\.data\.qcow2$/.test(path ?? "");

/** A disk where it is to be. */
export interface BroughtDisk {
  path: string;
  basePath: string | null;
  /** Both hypervisors see the one file: nothing was copied, and nothing may be deleted. */
  shared: boolean;
}

export interface Relocation {
  machine: MachineRow;
  /** Of the machine on the target: the same for a move. */
  id: string;
  name: string;
  hypervisorId: string;
  /** Whether the file itself may be used where both see it; a copy needs one of its own. */
  mayShare: boolean;
}

/** Brings the disk there, with the version below it. Null for a machine that has none (yet). */
export async function bringDisk(
  app: App,
  operation: LocalOperation,
  relocation: Relocation,
): Promise<BroughtDisk | null> {
  const { machine, hypervisorId, mayShare } = relocation;
  const isClone = machine.role === "vdi";
  if (machine.disk_path === null || isClone && machine.populated_at === null) return null;
  const { signal } = operation;
  const version = isClone ? await requireVersion(app, machine.version_id!) : null;
  const basePath = version && await ensureCopy(app, operation, version, hypervisorId);
  const file = await app.agents.of(machine.hypervisor_id).fileIdentity(machine.disk_path, signal);
  const there = app.agents.of(hypervisorId);
  if (!await seesSame(there, file.path, file, signal)) {
    return { path: await stream(app, operation, relocation, file), basePath, shared: false };
  }
  const atHome = dirname(file.path) === app.agents.status(hypervisorId).facts?.settings.imageDir;
  const fits = isClone ? file.backingPath === basePath : isStandAlone(file);
  if (mayShare && atHome && fits && file.path.includes(`-${relocation.id.slice(0, 8)}.`)) {
    return { path: file.path, basePath, shared: true };
  }
  return { path: await copyOver(app, operation, relocation, file, hypervisorId), basePath, shared: false };
}

const isStandAlone = ({ format, backingPath }: FileIdentity) => format === "qcow2" && backingPath === null;

/** The target reads the file itself, or the source makes one file of a chain. */
async function copyOver(
  app: App,
  operation: LocalOperation,
  { machine, id, name }: Relocation,
  file: FileIdentity,
  hypervisorId: string,
): Promise<string> {
  const stage = `copying the disk of ${machine.name}`;
  const { result } = requireSuccess(
    await takeStep(
      app,
      operation,
      { kind: "copy-image", subject: { id: null, name: `${stage} to ${name}` } },
      hypervisorId,
      {
        kind: "copy-image",
        fromPath: file.path,
        to: { kind: "machine", machineId: id, name },
        asIs: machine.role === "vdi",
      },
      (progress) => operation.report({ ...progress, stage }),
    ),
  );
  if (result) return result.path;
  throw new AppError("interrupted", `${stage} was interrupted by a restart. Start it again.`);
}

/** An overlay goes as it is; anything else as one qcow2 file, which is made first where it is not one already. */
async function stream(
  app: App,
  operation: LocalOperation,
  relocation: Relocation,
  file: FileIdentity,
): Promise<string> {
  const { machine, id, name, hypervisorId } = relocation;
  const from = machine.hypervisor_id;
  const target = await requireHypervisor(app, hypervisorId);
  const asIs = machine.role === "vdi" || isStandAlone(file);
  const path = asIs
    ? file.path
    : await copyOver(app, operation, { ...relocation, name: `${name}-whole` }, file, from);
  const whole = asIs ? file : await app.agents.of(from).fileIdentity(path, operation.signal);
  try {
    const received = await transferImage(app, operation, {
      fromHypervisorId: from,
      path,
      toHypervisorId: hypervisorId,
      to: { kind: "machine", machineId: id, name },
      bytes: whole.bytes,
      allocatedBytes: whole.bytes,
      sha256: null,
      stage: `copying the disk of ${machine.name} to ${target.name}`,
    });
    return received.path;
  } finally {
    if (!asIs) await removeLeftover(app, from, path);
  }
}

/** Has the agent define the machine on the disk; one that an earlier run of the job has defined is fine. */
export async function defineThere(
  app: App,
  operation: LocalOperation,
  { machine, id, name, hypervisorId }: Relocation,
  disk: BroughtDisk | null,
  mac: string | null,
): Promise<void> {
  if (app.agents.domain(id, hypervisorId)) return;
  operation.report({ stage: "defining the machine", done: 0, total: 0, unit: "items" });
  const spec: MachineSpec = {
    id,
    name,
    role: machine.role,
    osType: machine.os_type,
    vcpus: machine.vcpus,
    memoryMiB: machine.memory_mib,
    mac,
    network: machine.network,
    video: machine.video,
    iso: await isoThere(app, machine, hypervisorId),
  };
  requireSuccess(
    await takeStep(
      app,
      operation,
      { kind: "create-machine", subject: { id: null, name } },
      hypervisorId,
      {
        kind: "create-machine",
        machine: spec,
        disk: disk ? { kind: "own", path: disk.path, basePath: disk.basePath } : { kind: "none" },
      },
    ),
  );
}

/** A medium that the target does not have is left out. */
async function isoThere(app: App, { iso }: MachineRow, hypervisorId: string): Promise<string | null> {
  if (iso === null) return null;
  const files = await app.agents.of(hypervisorId).imageFiles();
  return files.some(({ path, kind }) => path === iso && kind === "iso") ? iso : null;
}

/** Removes a disk that was brought in vain. */
export async function undoDisk(
  app: App,
  { hypervisorId }: Relocation,
  disk: BroughtDisk | null,
): Promise<void> {
  if (disk && !disk.shared) await removeLeftover(app, hypervisorId, disk.path);
}

/** Whether what was done so far is to be undone: a dashboard that stops goes on at its next start. */
export const isToBeUndone = (operation: LocalOperation): boolean =>
  !operation.signal.aborted || operation.isCancelled();
