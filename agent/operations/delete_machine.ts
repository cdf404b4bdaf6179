import type { z } from "zod";
import type { DeleteMachineOperation } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host, JobOperation, Operation } from "../host.ts";
import { listOwnFiles, removeIfPresent } from "../images/files.ts";
import { type IdleMachine, requireIdleMachine } from "../images/idle_machine.ts";
import { listNames, readUses } from "../images/uses.ts";
import { dropScratch } from "./scratch.ts";

type Input = z.output<typeof DeleteMachineOperation>;

const what = "Delete the machine";

/**
 * Removes a domain and the image files that KVM-VDI made for it, all versions. Files that another domain uses stay,
 * and so do those of an adopted domain, ISO images, and everything outside the image directory.
 */
export const deleteMachine: JobOperation<Input> = { run, recover };

async function run(host: Host, { machineId, keepDisks }: Input, op: Operation): Promise<void> {
  using _lock = await host.locks.hold([machineId], {
    purpose: "it is being deleted",
    by: "job",
    signal: op.signal,
  });
  op.report({ stage: "Checking that nothing depends on it" });
  const machine = await readMachine(host, machineId);
  const keepsFiles = keepDisks || machine?.parsed.machine?.owned === false;
  const doomed = keepsFiles ? [] : (await listOwnFiles(host.imageDirs(), machineId)).map(({ path }) => path);
  await requireNoClones(host, machine, doomed);
  op.report({ stage: "Deleting" });
  if (machine) await host.virsh.undefine(machineId);
  await host.domains.refresh(machineId);
  await dropScratch(host, machineId);
  await removeUnused(host, doomed);
}

/** Null when somebody has removed the domain from libvirt already. */
async function readMachine(host: Host, id: string): Promise<IdleMachine | null> {
  if (!await host.domains.refresh(id)) return null;
  const machine = await requireIdleMachine(host, id, what);
  if (!machine.parsed.machine) {
    throw new AppError("conflict", `Delete ${machine.domain.name}: KVM-VDI does not manage this domain.`);
  }
  return machine;
}

/** Also for an adopted initial, whose files would stay: its clones would have lost their initial. */
async function requireNoClones(host: Host, machine: IdleMachine | null, doomed: string[]): Promise<void> {
  const uses = await readUses(host);
  const disks = machine?.domain.disks.flatMap(({ device, path }) =>
    device === "disk" && path !== null ? [path] : []
  );
  const holders = await Promise.all([...disks ?? [], ...doomed].map((path) => uses.of(path)));
  const clones = holders.flat().filter(({ id, as }) =>
    as === "backing" && (machine === null || id !== machine.domain.id)
  );
  if (clones.length === 0) return;
  throw new AppError(
    "conflict",
    `${what}${machine ? ` ${machine.domain.name}` : ""}: its disk image is the base of ` +
      `${listNames(clones.map(({ name }) => name))}. Delete those first.`,
  );
}

async function removeUnused(host: Host, paths: string[]): Promise<void> {
  const uses = await readUses(host);
  for (const path of paths) {
    if ((await uses.of(path)).length === 0) await removeIfPresent(path);
    else host.log.info({ path }, "kept an image file that another domain uses");
  }
}

/** Goes on where the agent was killed: once the domain is gone its files are nobody's. */
async function recover(host: Host, { machineId, keepDisks }: Input): Promise<void> {
  using _lock = await host.locks.hold([machineId], { purpose: "it is being deleted", by: "job" });
  if (keepDisks || await host.domains.refresh(machineId)) return;
  await removeUnused(host, (await listOwnFiles(host.imageDirs(), machineId)).map(({ path }) => path));
}
