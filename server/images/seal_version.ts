/** Sealing a version for itself, and the way back to a draft. */
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { ImageVersion } from "../../contracts/image.ts";
import type { Job } from "../../contracts/job.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageCopyRow, ImageVersionRow } from "../db/schema.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { recordDomains } from "../machines/live.ts";
import { nameSome, requireNotHeld } from "../machines/service.ts";
import { distributeToAll, requireDistributed, seesSame } from "./distribute.ts";
import { renderVersion } from "./render.ts";
import { homeCopy, requireQuietOn, sealWithin } from "./seal.ts";
import { nameOf, requireVersion, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

const Input = z.object({ versionId: Id });

/**
 * Starts to seal a draft, and to copy it to every hypervisor that needs it.
 * @throws {AppError} `conflict` if it is not a draft, its initial runs on it, or a job works on the initial.
 */
export async function sealVersion(app: App, id: string, actor: Actor): Promise<Job> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  if (version.state !== "draft") {
    throw new AppError("conflict", `${nameOf(initial, version)} cannot be sealed: it is ${version.state}.`);
  }
  requireQuietOn(app, initial, version);
  const job = await app.jobs.start({
    kind: "seal",
    subject: { id: initial.id, name: nameOf(initial, version) },
    by: actor,
    input: { versionId: id },
    progress: { stage: "sealing" },
    cancellable: true,
  });
  await audit(app, {
    actor,
    action: "image.seal",
    subjectId: initial.id,
    subjectName: nameOf(initial, version),
  });
  return job;
}

/** Carries it out; goes on after a restart. */
export async function runSeal(app: App, operation: LocalOperation): Promise<void> {
  const version = await requireVersion(app, Input.parse(operation.input).versionId);
  const sealed = await sealWithin(app, operation, version);
  requireDistributed(await distributeToAll(app, operation, sealed));
}

/**
 * Makes a sealed version that nothing is based on a draft again, which the initial then boots from.
 * @throws {AppError} `conflict` naming what uses it.
 */
export async function unsealVersion(app: App, id: string, actor: Actor): Promise<ImageVersion> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  const name = nameOf(initial, version);
  const refuse = (why: string) => new AppError("conflict", `${name} cannot be reopened: ${why}`);
  if (version.state !== "sealed") throw refuse(`it is ${version.state}, not sealed.`);
  requireNotHeld(app, initial);
  const clones = await store.findClones(app.db, [initial.id]);
  const onIt = clones.filter((clone) => clone.version_id === id);
  if (onIt.length > 0) throw refuse(`${nameSome(onIt)} are based on it. Copy the disk for a new version.`);
  if (initial.current_version_id === id && clones.length > 0) {
    throw refuse("it is the current version, which clones are made on. Publish another one first.");
  }
  if (await store.findRollout(app.db, initial.id).then((rollout) => rollout?.version_id === id)) {
    throw refuse("it is being rolled out.");
  }
  const domain = app.agents.domain(initial.id, initial.hypervisor_id)?.domain;
  if (domain && domain.state !== "shut-off" && domain.state !== "crashed") {
    throw refuse(`${initial.name} is ${domain.state}. Shut it down first.`);
  }
  const copy = await homeCopy(app, version, initial);
  if (copy.hypervisor_id !== initial.hypervisor_id) throw refuse(`it is not where ${initial.name} is.`);
  await dropOtherCopies(app, version, name, copy);
  const agent = app.agents.of(copy.hypervisor_id);
  await agent.unseal(copy.path);
  await store.updateVersionRow(app.db, id, { state: "draft", sha256: null, sealed_at: null });
  if (initial.version_id !== id) {
    await agent.setDisk(initial.id, { path: copy.path, imageVersion: version.number });
    await recordDomains(app, initial.hypervisor_id, [initial.id]);
  }
  tellImage(app, initial.id);
  await audit(app, { actor, action: "image.unseal", subjectId: initial.id, subjectName: name });
  return await renderVersion(app, id);
}

/** Copies elsewhere would be different from what it becomes. On shared storage they are the same file. */
async function dropOtherCopies(app: App, version: ImageVersionRow, name: string, home: ImageCopyRow) {
  const { db } = app;
  const identity = await app.agents.of(home.hypervisor_id).fileIdentity(home.path);
  for (const { hypervisor_id, path, state } of await store.findCopies(db, [version.id])) {
    if (hypervisor_id === home.hypervisor_id) continue;
    const agent = app.agents.of(hypervisor_id);
    const shared = path === home.path && await seesSame(agent, path, identity);
    const [item] = shared || state !== "present" ? [] : (await agent.deleteFiles([path])).items;
    if (item && !item.deleted) {
      throw new AppError("conflict", `${name} cannot be reopened: its copy stays: ${item.message}`);
    }
    await store.removeCopy(db, version.id, hypervisor_id);
  }
}
