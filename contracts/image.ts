/** Versions of an initial's image: copied, customised, sealed, published, rolled back. */
import { z } from "zod";
import { Bytes, Id, UnixMs } from "./common.ts";

/**
 * copying: not whole yet; draft: whole, the initial boots from it and may change it; sealed: final, never written
 * again, has a checksum. Only sealed versions back clones; publishing a draft seals it first.
 */
export const VersionState = z.enum(["copying", "draft", "sealed", "failed"]);
export type VersionState = z.infer<typeof VersionState>;

/** A version's file on one hypervisor. */
export const VersionCopy = z.object({
  hypervisorId: Id,
  hypervisorName: z.string(),
  path: z.string(),
  state: z.enum(["copying", "present", "missing", "failed"]),
  error: z.string().nullable(),
  allocatedBytes: Bytes,
  machineCount: z.int().describe("clones whose overlay lies on this copy"),
});
export type VersionCopy = z.infer<typeof VersionCopy>;

export const ImageVersion = z.object({
  id: Id,
  initialId: Id,
  number: z.int().positive(),
  state: VersionState,
  current: z.boolean().describe("what populate makes overlays on"),
  booted: z.boolean().describe("a draft that the initial was started with: it was customised"),
  pinned: z.boolean().describe("kept whatever the policy says"),
  sha256: z.string().nullable(),
  virtualBytes: Bytes,
  note: z.string(),
  createdAt: UnixMs,
  createdBy: z.string().nullable(),
  sealedAt: UnixMs.nullable(),
  publishedAt: UnixMs.nullable().describe("when it was last made current"),
  machineCount: z.int().describe("clones that are on it"),
  copies: z.array(VersionCopy),
  jobId: Id.nullable().describe("the open job that works on it"),
});
export type ImageVersion = z.infer<typeof ImageVersion>;

/** How clones get to the current version. */
export const PublishMode = z.enum(["now", "rolling"]);
export const Rollout = z.object({
  versionId: Id,
  mode: PublishMode,
  startedAt: UnixMs,
  endsSessionsAt: UnixMs.nullable().describe("of `now`: until then users can save their work"),
  total: z.int(),
  moved: z.int(),
  waiting: z.array(z.object({ machineId: Id, name: z.string(), reason: z.string() })).describe(
    "clones that are still on another version, with what they wait for",
  ),
});
export type Rollout = z.infer<typeof Rollout>;

/** source -> copied -> customised -> sealed -> published -> populated -> snapshots on -> maintenance off */
export const ChecklistStep = z.object({
  step: z.enum([
    "source-ready",
    "copied",
    "customised",
    "sealed",
    "published",
    "populated",
    "snapshots-on",
    "maintenance-off",
  ]),
  state: z.enum(["done", "next", "later", "optional", "running", "blocked"]),
  detail: z.string().describe("what is so, or what to do"),
});
export type ChecklistStep = z.infer<typeof ChecklistStep>;

/** An initial with its versions, newest first. Its id is the initial's. */
export const Image = z.object({
  id: Id,
  name: z.string(),
  hypervisorId: Id,
  sourceId: Id.nullable(),
  sourceName: z.string().nullable(),
  currentVersionId: Id.nullable(),
  cloneCount: z.int(),
  versions: z.array(ImageVersion),
  rollout: Rollout.nullable(),
  checklist: z.array(ChecklistStep),
});
export type Image = z.infer<typeof Image>;

export const CopyDisk = z.object({
  hypervisorIds: z.array(Id).max(100).optional().describe(
    "where the version shall be; default: where the initial and its clones are. Other hosts get it when it is sealed",
  ),
  seal: z.boolean().default(false).describe("seal it at once: nothing is to be customised"),
  note: z.string().max(500).default(""),
});
export const PublishRequest = z.object({
  mode: PublishMode.default("rolling"),
  countdownSeconds: z.int().min(0).max(24 * 3600).default(300).describe(
    "of `now`: how long users are warned",
  ),
  message: z.string().max(200).optional().describe("what users read with the countdown"),
});
export const UpdateVersion = z.object({ note: z.string().max(500), pinned: z.boolean() }).partial();
export const DistributeRequest = z.object({ hypervisorIds: z.array(Id).min(1).max(100) });

/** What goes when a machine is deleted. */
export const DeletionPlan = z.object({
  machines: z.array(z.object({ id: Id, name: z.string(), role: z.string() })).describe(
    "itself and what is made from it, in the order of deletion",
  ),
  files: z.array(z.object({ path: z.string(), hypervisorName: z.string(), allocatedBytes: Bytes })),
  dataDisks: z.array(z.object({ id: Id, ownerName: z.string() })).describe("with the work on them"),
  obstacles: z.array(z.string()).describe("why it cannot be deleted now, and what to do"),
});
export type DeletionPlan = z.infer<typeof DeletionPlan>;
