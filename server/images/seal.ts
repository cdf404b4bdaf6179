/** Sealing as part of a job: a version becomes final, with a checksum. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import type { ImageCopyRow, ImageVersionRow, MachineRow } from "../db/schema.ts";
import type { EndedJob, LocalOperation } from "../jobs/service.ts";
import { requireSuccess, takeStep } from "./steps.ts";
import { asWorkOn, inTurn } from "./turns.ts";
import { nameOf, requireVersion, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({ versionId: Id });

/**
 * Seals a version as part of a job, unless it is sealed already, and returns it as it is then.
 * @throws {AppError} what the agent refused or failed with.
 */
export function sealWithin(
  app: App,
  operation: LocalOperation,
  { id }: Pick<ImageVersionRow, "id">,
): Promise<ImageVersionRow> {
  return inTurn(app, `seal ${id}`, async () => {
    operation.signal.throwIfAborted();
    const { version, initial } = await requireVersionAndInitial(app, id);
    // One of an older KVM-VDI has no checksum yet.
    if (version.state === "sealed" && version.sha256 !== null) return version;
    if (version.state !== "draft" && version.state !== "sealed") {
      throw new AppError("conflict", `${nameOf(initial, version)} cannot be sealed: it is ${version.state}.`);
    }
    requireQuietOn(app, initial, version);
    const copy = await homeCopy(app, version, initial);
    operation.report({ stage: `sealing ${nameOf(initial, version)}` });
    await asWorkOn(app, id, operation.job.id, async () => {
      tellImage(app, initial.id);
      const name = nameOf(initial, version);
      requireSuccess(
        await takeStep(
          app,
          operation,
          { kind: "seal", subject: { id: null, name }, machineIds: [initial.id], input: { versionId: id } },
          copy.hypervisor_id,
          { kind: "seal", path: copy.path },
          (progress) => operation.report(progress),
        ),
      );
    });
    return await requireVersion(app, id);
  });
}

/** Its file, beside the initial if it is there. @throws {AppError} `conflict` when it is missing everywhere. */
export async function homeCopy(
  app: App,
  version: ImageVersionRow,
  initial: MachineRow,
): Promise<ImageCopyRow> {
  const copies = (await store.findCopies(app.db, [version.id])).filter(({ state }) => state === "present");
  const copy = copies.find(({ hypervisor_id }) => hypervisor_id === initial.hypervisor_id) ?? copies[0];
  if (copy) return copy;
  throw new AppError("conflict", `The file of ${nameOf(initial, version)} is missing. Restore it first.`);
}

/** @throws {AppError} `conflict` while the initial runs and may write to this version. */
export function requireQuietOn(app: App, initial: MachineRow, version: ImageVersionRow): void {
  const domain = app.agents.domain(initial.id, initial.hypervisor_id)?.domain;
  if (initial.version_id !== version.id || !domain || domain.virtualSnapshot) return;
  if (domain.state === "shut-off" || domain.state === "crashed") return;
  throw new AppError(
    "conflict",
    `${
      nameOf(initial, version)
    } cannot be sealed: ${initial.name} is ${domain.state} on it. Shut it down first.`,
  );
}

/** Notes that the agent has sealed it. */
export async function settleSeal(app: App, ended: EndedJob): Promise<void> {
  const { versionId } = Input.parse(ended.input);
  const version = await store.findVersion(app.db, versionId);
  if (!version) return;
  if (ended.state === "succeeded") {
    await store.updateVersionRow(app.db, versionId, {
      state: "sealed",
      sealed_at: version.sealed_at ?? app.now(),
      ...(ended.result && { sha256: ended.result.sha256, virtual_bytes: ended.result.virtualBytes }),
    });
    const copy = ended.hypervisorId && await store.findCopy(app.db, versionId, ended.hypervisorId);
    if (copy && ended.result) {
      await store.putCopy(app.db, { ...copy, allocated_bytes: ended.result.allocatedBytes });
    }
  }
  tellImage(app, version.initial_id);
}
