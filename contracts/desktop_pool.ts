import { z } from "zod";
import { Id, Title, UnixMs } from "./common.ts";

/** What happens to a machine when its lease ends. A machine with a virtual snapshot is always reset. */
export const AfterUse = z.enum(["keep", "shutdown", "reset"]);
export type AfterUse = z.infer<typeof AfterUse>;

export const DesktopPoolPolicy = z.object({
  afterUse: AfterUse.default("keep").describe(
    "keep: left running; shutdown: asked to shut down; reset: back to the image",
  ),
  returnAfterMinutes: z.int().min(0).max(7 * 24 * 60).default(5).describe(
    "a lease ends this long after the last heartbeat",
  ),
  userPower: z.boolean().default(true).describe("users may reboot and power off their desktop"),
});
export type DesktopPoolPolicy = z.infer<typeof DesktopPoolPolicy>;

/** Machines of a pool by what users can do with them; the five add up to `total`. */
export const PoolCounts = z.object({
  total: z.int(),
  free: z.int().describe("could be given now"),
  inUse: z.int(),
  starting: z.int().describe("leased and not ready yet, or a job works on it (reset, populate)"),
  maintenance: z.int().describe("in maintenance, locked, or on a hypervisor in maintenance"),
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
