import { z } from "zod";
import { Id, ListQuery, UnixMs } from "./common.ts";
import { ErrorInfo } from "./errors.ts";
import { MachineState } from "./machine.ts";

export const DesktopState = z.enum(["preparing", "ready", "failed", "ended"]);
export type DesktopState = z.infer<typeof DesktopState>;

/** The steps a desktop goes through while it is being prepared, in order. */
export const DesktopStage = z.enum(["allocated", "starting", "booting", "ready"]);

/** A lease: a user's current hold of a machine. */
export const Desktop = z.object({
  id: Id,
  desktopPoolId: Id,
  desktopPoolName: z.string(),
  state: DesktopState,
  stage: DesktopStage,
  machine: z.object({ id: Id, name: z.string(), state: MachineState }).nullable(),
  error: ErrorInfo.nullable(),
  userPower: z.boolean(),
  volatile: z.boolean().describe("what the user saves on it is gone afterwards"),
  terminal: z.string().nullable().describe("where it was last opened: host name or address"),
  notice: z.object({ message: z.string(), endsAt: UnixMs }).nullable().describe(
    "the session is going to be ended then; save your work",
  ),
  queued: z.int().nullable().describe("while it waits for its turn to be started: how many are before it"),
  startedAt: UnixMs,
  readyAt: UnixMs.nullable(),
  lastHeartbeatAt: UnixMs,
});
export type Desktop = z.infer<typeof Desktop>;

export const GetDesktop = z.object({
  desktopPoolId: Id,
  terminal: z.string().max(128).optional().describe("name of the device, shown to admins"),
});

/** A lease as an admin sees it. */
/** How one member of the pool stood when the broker chose. */
export const PlacementReason = z.object({
  machineName: z.string(),
  hypervisorName: z.string(),
  verdict: z.string().describe("chosen, or why not"),
});
export const Lease = Desktop.extend({
  userId: Id,
  username: z.string(),
  hypervisorName: z.string().nullable(),
  viewers: z.int(),
  explanation: z.string().describe("why this machine was chosen"),
  reasons: z.array(PlacementReason).describe("how the pool's other machines stood then, at most 20"),
  endedAt: UnixMs.nullable(),
  endReason: z.string().nullable(),
});
export type Lease = z.infer<typeof Lease>;
export const LeaseQuery = ListQuery.extend({
  state: DesktopState.optional(),
  active: z.enum(["true", "false"]).transform((text) => text === "true").default(true),
  desktopPoolId: Id.optional(),
  userId: Id.optional(),
  machineId: Id.optional(),
});

export const UserPowerRequest = z.object({ action: z.enum(["shutdown", "reboot", "destroy"]) });
export const Heartbeat = z.object({ state: DesktopState, intervalSeconds: z.int() });

/**
 * How to open one machine's display once, within `expiresAt`. The browser opens `webSocketPath` (once a SPICE
 * channel); a native viewer connects to host `proxyHost`, port `proxyPort` through the CONNECT proxy on the dashboard's
 * own address. Both are opened by the same one-time ticket; `password` is the display's own.
 */
export const Connection = z.object({
  protocol: z.enum(["spice", "vnc", "rdp", "horizon"]),
  machineId: Id,
  machineName: z.string(),
  title: z.string(),
  webSocketPath: z.string(),
  proxyHost: z.string(),
  proxyPort: z.int(),
  password: z.string(),
  expiresAt: UnixMs,
  direct: z.object({ host: z.string(), port: z.int() }).nullable().optional().describe(
    "where native viewers reach the display without the dashboard, if the hypervisor is set up so",
  ),
});
export type Connection = z.infer<typeof Connection>;
export const ConnectionQuery = z.object({
  format: z.enum(["json", "vv"]).default("json").describe("vv: a file for remote-viewer"),
});
