/** The source's disk becomes a version of an initial on another hypervisor. */
import type { Agent, ImageResult, ImageTarget } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { ImageVersionRow, MachineRow } from "../db/schema.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { seesSame } from "./distribute.ts";
import { requireSuccess, takeStep } from "./steps.ts";
import { transferImage } from "./transfer.ts";
import { nameOf } from "./versions.ts";

/**
 * Brings it there, over shared storage or as a stream, and switches the initial to it.
 * @throws {AppError} `unavailable` while one of the hypervisors is away, or what an agent failed with.
 */
export async function copyFromElsewhere(
  app: App,
  operation: LocalOperation,
  version: ImageVersionRow,
  initial: MachineRow,
  source: MachineRow,
): Promise<ImageResult> {
  const to: ImageTarget = {
    kind: "version",
    initialId: initial.id,
    name: initial.name,
    version: version.number,
  };
  const stage = `copying the disk of ${source.name} to ${nameOf(initial, version)}`;
  const path = source.disk_path!;
  const here = app.agents.of(source.hypervisor_id);
  const there = app.agents.of(initial.hypervisor_id);
  const file = await here.fileIdentity(path, operation.signal);
  const copy = (hypervisorId: string, what: string) =>
    copyImage(app, operation, {
      hypervisorId,
      path,
      to,
      stage,
      name: `${stage}, ${what}`,
      machineId: source.id,
    });
  const transfer = (path: string, bytes: number, sha256: string | null) =>
    transferImage(app, operation, {
      fromHypervisorId: source.hypervisor_id,
      path,
      toHypervisorId: initial.hypervisor_id,
      to,
      bytes,
      allocatedBytes: bytes,
      sha256,
      stage,
    });
  let result: ImageResult;
  if (await seesSame(there, path, file, operation.signal)) {
    result = await copy(initial.hypervisor_id, "over shared storage");
  } else if (await isOneFile(here, source)) {
    result = await transfer(path, file.bytes, null);
  } else {
    // Only one stand-alone qcow2 file can be sent: it is made first, and removed afterwards.
    const made = await copy(source.hypervisor_id, "as one file");
    try {
      result = await transfer(made.path, made.bytes, made.sha256);
    } finally {
      await here.deleteFiles([made.path]);
    }
  }
  await there.setDisk(initial.id, { path: result.path, imageVersion: version.number });
  return result;
}

/** By the machine's definition: a guest can write whatever header into a raw disk. */
async function isOneFile(agent: Agent, { id, disk_path: path }: MachineRow): Promise<boolean> {
  const disk = (await agent.disks(id)).find(({ chain: [top] }) => top?.path === path);
  return disk?.chain.length === 1 && disk.chain[0]!.format === "qcow2";
}

async function copyImage(
  app: App,
  operation: LocalOperation,
  { hypervisorId, path, to, stage, name, machineId }: {
    hypervisorId: string;
    path: string;
    to: ImageTarget;
    stage: string;
    name: string;
    machineId: string;
  },
): Promise<ImageResult> {
  const step = requireSuccess(
    await takeStep(
      app,
      operation,
      { kind: "copy-image", subject: { id: null, name }, machineIds: [machineId] },
      hypervisorId,
      { kind: "copy-image", fromPath: path, to },
      (progress) => operation.report({ ...progress, stage }),
    ),
  );
  if (step.result) return step.result;
  throw new AppError("interrupted", `${stage} was interrupted by a restart. Start it again.`);
}
