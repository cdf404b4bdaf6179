/** Images as the API shows them. */
import type { z } from "zod";
import type { ListQuery, Page } from "../../contracts/common.ts";
import type { Image, ImageVersion, UpdateVersion, VersionCopy } from "../../contracts/image.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { ImageCopyRow, ImageVersionRow, MachineRow } from "../db/schema.ts";
import { listHypervisorRows } from "../hypervisors/service.ts";
import { findMachineRows } from "../machines/service.ts";
import { checklistOf } from "./checklist.ts";
import { jobOn } from "./turns.ts";
import { nameOf, requireInitial, requireVersion, requireVersionAndInitial, tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

/** One page of images, by name. */
export async function listImages(app: App, query: z.output<typeof ListQuery>): Promise<Page<Image>> {
  const page = await store.listInitials(app.db, query);
  return { ...page, items: await renderImages(app, page.items) };
}

/** @throws {AppError} `not_found` for anything but an initial. */
export async function getImage(app: App, id: string): Promise<Image> {
  const [image] = await renderImages(app, [await requireInitial(app, id)]);
  return image!;
}

/** Changes a version's note, or keeps it whatever the policy says. */
export async function updateVersion(
  app: App,
  id: string,
  { note, pinned }: z.output<typeof UpdateVersion>,
  actor: Actor,
): Promise<ImageVersion> {
  const { version, initial } = await requireVersionAndInitial(app, id);
  await store.updateVersionRow(app.db, id, {
    ...(note !== undefined && { note }),
    ...(pinned !== undefined && { pinned: pinned ? 1 : 0 }),
  });
  tellImage(app, initial.id);
  await audit(app, {
    actor,
    action: "image.update",
    subjectId: initial.id,
    subjectName: nameOf(initial, version),
    detail: Object.entries({ note, pinned }).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key}: ${value}`]
    ).join(", "),
  });
  return await renderVersion(app, id);
}

/** @throws {AppError} `not_found`. */
export async function renderVersion(app: App, id: string): Promise<ImageVersion> {
  const version = await requireVersion(app, id);
  const image = await getImage(app, version.initial_id);
  return image.versions.find((one) => one.id === id)!;
}

interface Surroundings {
  sources: Map<string, MachineRow>;
  clones: Map<string, MachineRow[]>;
  copies: Map<string, ImageCopyRow[]>;
  versions: Map<string, ImageVersionRow[]>;
  hypervisorNames: Map<string, string>;
}

async function renderImages(app: App, initials: readonly MachineRow[]): Promise<Image[]> {
  const ids = initials.map(({ id }) => id);
  const versions = await store.findVersionsOf(app.db, ids);
  const copies = await store.findCopies(app.db, versions.map(({ id }) => id));
  const clones = await store.findClones(app.db, ids);
  const sources = await findMachineRows(app, initials.flatMap((row) => row.source_id ?? []));
  const around: Surroundings = {
    sources: new Map(sources.map((row) => [row.id, row])),
    clones: Map.groupBy(clones, (row) => row.source_id!),
    copies: Map.groupBy(copies, (copy) => copy.version_id),
    versions: Map.groupBy(versions, (version) => version.initial_id),
    hypervisorNames: new Map((await listHypervisorRows(app)).map(({ id, name }) => [id, name])),
  };
  return await Promise.all(initials.map((initial) => renderImage(app, initial, around)));
}

async function renderImage(app: App, initial: MachineRow, around: Surroundings): Promise<Image> {
  const source = initial.source_id === null ? undefined : around.sources.get(initial.source_id);
  const clones = around.clones.get(initial.id) ?? [];
  const versions = around.versions.get(initial.id) ?? [];
  const rollout = await store.findRollout(app.db, initial.id);
  return {
    id: initial.id,
    name: initial.name,
    hypervisorId: initial.hypervisor_id,
    sourceId: initial.source_id,
    sourceName: source?.name ?? null,
    currentVersionId: initial.current_version_id,
    cloneCount: clones.length,
    versions: versions.map((version) => toVersion(app, version, initial, clones, around)),
    rollout: rollout && await app.rollouts.render(rollout),
    checklist: checklist(app, initial, source, versions, clones),
  };
}

function toVersion(
  app: App,
  row: ImageVersionRow,
  initial: MachineRow,
  clones: readonly MachineRow[],
  { copies, hypervisorNames }: Surroundings,
): ImageVersion {
  const onIt = clones.filter((clone) => clone.version_id === row.id);
  const toCopy = (copy: ImageCopyRow): VersionCopy => ({
    hypervisorId: copy.hypervisor_id,
    hypervisorName: hypervisorNames.get(copy.hypervisor_id) ?? "",
    path: copy.path,
    state: copy.state,
    error: copy.error,
    allocatedBytes: copy.allocated_bytes,
    machineCount: onIt.filter((clone) => clone.hypervisor_id === copy.hypervisor_id).length,
  });
  return {
    id: row.id,
    initialId: row.initial_id,
    number: row.number,
    state: row.state,
    current: initial.current_version_id === row.id,
    booted: row.booted === 1,
    pinned: row.pinned === 1,
    sha256: row.sha256,
    virtualBytes: row.virtual_bytes,
    note: row.note,
    createdAt: row.created_at,
    createdBy: row.created_by,
    sealedAt: row.sealed_at,
    publishedAt: row.published_at,
    machineCount: onIt.length,
    copies: (copies.get(row.id) ?? []).map(toCopy)
      .sort((a, b) => a.hypervisorName.localeCompare(b.hypervisorName)),
    jobId: jobOn(app, row.id),
  };
}

function checklist(
  app: App,
  initial: MachineRow,
  source: MachineRow | undefined,
  versions: readonly ImageVersionRow[],
  clones: readonly MachineRow[],
): Image["checklist"] {
  const [newest] = versions;
  const domain = app.agents.domain(initial.id, initial.hypervisor_id)?.domain;
  return checklistOf({
    source: source
      ? {
        name: source.name,
        state: app.agents.domain(source.id, source.hypervisor_id)?.domain.state ?? source.state,
        hasDisk: source.disk_path !== null,
      }
      : null,
    initialRuns: domain !== undefined && !domain.virtualSnapshot && domain.state !== "shut-off" &&
      domain.state !== "crashed",
    newest: newest
      ? {
        number: newest.number,
        state: newest.state,
        booted: newest.booted === 1,
        current: newest.id === initial.current_version_id,
      }
      : null,
    job: app.jobs.holderOf(initial.id)?.kind ?? null,
    clones: {
      total: clones.length,
      onNewest: clones.filter((row) => row.populated_at !== null && row.version_id === newest?.id).length,
      withSnapshot: clones.filter((row) => row.virtual_snapshot === 1).length,
      inMaintenance: clones.filter((row) => row.maintenance === 1).length,
    },
  });
}
