import { z } from "zod";
import { Id, ListQuery, Title, UnixMs } from "./common.ts";

export const Settings = z.object({
  siteName: Title.default("KVM-VDI"),
  sessionHours: z.int().min(1).max(24 * 30).default(12).describe("how long a sign-in lasts"),
  lockoutAttempts: z.int().min(3).max(100).default(5).describe("wrong passwords before an account is locked"),
  lockoutMinutes: z.int().min(1).max(24 * 60).default(15),
  heartbeatSeconds: z.int().min(5).max(300).default(30),
  displayTicketSeconds: z.int().min(10).max(600).default(60).describe(
    "how long a display ticket can be used",
  ),
  desktopStartSeconds: z.int().min(10).max(3600).default(180).describe(
    "how long a desktop may take to become ready",
  ),
  keepImageVersions: z.int().min(1).max(100).default(3).describe(
    "sealed versions of an image that are kept, the current one included",
  ),
  keepImageDays: z.int().min(0).max(3650).default(14).describe(
    "younger versions are kept however many there are",
  ),
  uploadQuotaGiB: z.int().min(0).max(1_000_000).default(200).describe(
    "what uploaded files may take on one hypervisor; 0: no uploads",
  ),
  keepLostDesktopHours: z.int().min(0).max(24 * 30).default(8).describe(
    "how long the desktop of a user whose hypervisor was lost is kept for them",
  ),
});
export type Settings = z.infer<typeof Settings>;
export const UpdateSettings = z.object({
  siteName: Title,
  sessionHours: Settings.shape.sessionHours.unwrap(),
  lockoutAttempts: Settings.shape.lockoutAttempts.unwrap(),
  lockoutMinutes: Settings.shape.lockoutMinutes.unwrap(),
  heartbeatSeconds: Settings.shape.heartbeatSeconds.unwrap(),
  displayTicketSeconds: Settings.shape.displayTicketSeconds.unwrap(),
  desktopStartSeconds: Settings.shape.desktopStartSeconds.unwrap(),
  keepImageVersions: Settings.shape.keepImageVersions.unwrap(),
  keepImageDays: Settings.shape.keepImageDays.unwrap(),
  uploadQuotaGiB: Settings.shape.uploadQuotaGiB.unwrap(),
  keepLostDesktopHours: Settings.shape.keepLostDesktopHours.unwrap(),
}).partial();

export const AuditEntry = z.object({
  id: z.int(),
  at: UnixMs,
  actor: z.string().nullable().describe("username; null: the dashboard itself"),
  address: z.string().nullable(),
  action: z.string().describe("noun.verb, as machine.delete"),
  subjectId: z.string().nullable(),
  subjectName: z.string().nullable(),
  outcome: z.enum(["ok", "refused", "failed"]),
  detail: z.string().nullable(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;
export const AuditQuery = ListQuery.extend({
  actor: z.string().max(64).optional(),
  action: z.string().max(64).optional(),
  subjectId: z.string().max(64).optional(),
  outcome: AuditEntry.shape.outcome.optional(),
});

export const Warning = z.object({
  id: z.string(),
  severity: z.enum(["info", "warning", "danger"]),
  message: z.string(),
  link: z.string().nullable().describe("the page of the UI that has the remedy"),
});
export type Warning = z.infer<typeof Warning>;

/** What the first page shows. */
export const Overview = z.object({
  machines: z.object({
    total: z.int(),
    running: z.int(),
    byRole: z.object({ simple: z.int(), source: z.int(), initial: z.int(), vdi: z.int() }),
  }),
  desktops: z.object({ inUse: z.int(), starting: z.int(), free: z.int(), total: z.int() }),
  desktopPoolCount: z.int(),
  userCount: z.int().describe("users other than admins and operators"),
  entitlementCount: z.int(),
  runningJobs: z.int(),
  failedJobs24h: z.int(),
  warnings: z.array(Warning),
});
export type Overview = z.infer<typeof Overview>;

export const SearchHit = z.object({
  kind: z.enum(["machine", "user", "desktop-pool", "hypervisor"]),
  id: Id,
  title: z.string(),
  detail: z.string(),
});
