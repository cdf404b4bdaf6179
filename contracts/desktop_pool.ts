import { z } from "zod";
import { Id, Title, UnixMs } from "./common.ts";
import { DataDiskPolicy } from "./storage.ts";

/** What happens to a machine when its lease ends. A machine with a virtual snapshot is always reset. */
export const AfterUse = z.enum(["keep", "shutdown", "reset"]);
export type AfterUse = z.infer<typeof AfterUse>;

/**
 * A time of day at which machines are started or idle ones shut down; in the dashboard's time zone. After
 * `shut-down-idle` a pool sleeps, its spares too, until the next `start` or until somebody asks for a desktop of it.
 */
export const PoolScheduleEntry = z.object({
  days: z.array(z.int().min(0).max(6)).min(1).max(7).describe("0 is Sunday"),
  at: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "must be a time as 07:45"),
  action: z.enum(["start", "shut-down-idle"]),
  count: z.int().min(1).max(2000).default(1).describe("of start: how many shall run then"),
});
export type PoolScheduleEntry = z.infer<typeof PoolScheduleEntry>;

export const DesktopPoolPolicy = z.object({
  afterUse: AfterUse.default("keep").describe(
    "keep: left running; shutdown: asked to shut down; reset: back to the image",
  ),
  returnAfterMinutes: z.int().min(0).max(7 * 24 * 60).default(5).describe(
    "a lease ends this long after the last heartbeat",
  ),
  userPower: z.boolean().default(true).describe("users may reboot and power off their desktop"),
  spares: z.int().min(0).max(500).default(0).describe("machines kept started and free, for who comes next"),
  schedule: z.array(PoolScheduleEntry).max(50).default([]),
  dataDisk: DataDiskPolicy.nullable().default(null).describe(
    "a disk for personal files, of each machine or each user",
  ),
});
export type DesktopPoolPolicy = z.infer<typeof DesktopPoolPolicy>;

/** Machines of a pool by what users can do with them; the six but `spares` add up to `total`. */
export const PoolCounts = z.object({
  total: z.int(),
  free: z.int().describe("could be given now"),
  inUse: z.int(),
  spares: z.int().describe("of the free ones: running already"),
  starting: z.int().describe("leased and not ready yet, or a job works on it (reset, populate)"),
  maintenance: z.int().describe("in maintenance, locked, or on a hypervisor in maintenance"),
  full: z.int().describe("off, on a hypervisor that has no room for them"),
  broken: z.int().describe("not populated, crashed, missing or on a hypervisor that is offline"),
});
export type PoolCounts = z.infer<typeof PoolCounts>;

export const DesktopPool = z.object({
  id: Id,
  name: Title,
  description: z.string(),
  enabled: z.boolean(),
  policy: DesktopPoolPolicy,
  counts: PoolCounts,
  entitledUsers: z.int(),
  createdAt: UnixMs,
});
export type DesktopPool = z.infer<typeof DesktopPool>;

export const DesktopPoolDetail = DesktopPool.extend({
  machineIds: z.array(Id),
  entitlements: z.object({ userIds: z.array(Id), groupIds: z.array(Id) }),
});
export type DesktopPoolDetail = z.infer<typeof DesktopPoolDetail>;

export const CreateDesktopPool = z.object({
  name: Title,
  description: z.string().max(500).default(""),
  enabled: z.boolean().default(true),
  policy: DesktopPoolPolicy.prefault({}),
});
export const UpdateDesktopPool = z.object({
  name: Title,
  description: z.string().max(500),
  enabled: z.boolean(),
  policy: z.object({
    afterUse: AfterUse,
    returnAfterMinutes: DesktopPoolPolicy.shape.returnAfterMinutes.unwrap(),
    userPower: z.boolean(),
    spares: DesktopPoolPolicy.shape.spares.unwrap(),
    schedule: DesktopPoolPolicy.shape.schedule.unwrap(),
    dataDisk: DataDiskPolicy.nullable(),
  }).partial(),
}).partial();
export const PutMachines = z.object({ machineIds: z.array(Id).max(2000) });
export const PutEntitlements = z.object({
  userIds: z.array(Id).max(5000),
  groupIds: z.array(Id).max(1000).default([]),
});

/** A desktop pool as one of its users sees it. */
export const MyDesktopPool = z.object({
  id: Id,
  name: z.string(),
  description: z.string(),
  availability: z.enum(["ready", "yours", "full", "unavailable"]),
  reason: z.string().nullable().describe("why nothing can be had, and what to do"),
  freeCount: z.int(),
  userPower: z.boolean(),
  desktopId: Id.nullable().describe("the desktop that the user holds in it"),
});
export type MyDesktopPool = z.infer<typeof MyDesktopPool>;
