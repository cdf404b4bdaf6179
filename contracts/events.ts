import { z } from "zod";
import { Id } from "./common.ts";
import { Desktop, Lease } from "./desktop.ts";
import { DesktopPool } from "./desktop_pool.ts";
import { Hypervisor } from "./hypervisor.ts";
import { Job } from "./job.ts";
import { Machine } from "./machine.ts";
import { Overview } from "./settings.ts";
import { Upload } from "./storage.ts";
import { Me } from "./user.ts";

/**
 * What /api/events sends (SSE, `event:` is the type, `data:` the object). The first is `snapshot`, then changes.
 * Users see `snapshot` (without admin fields), `desktop`, `desktop-ended` and `my-desktop-pools`; admins and operators see all.
 * Lists are not in the snapshot: a page loads its own list, then applies the changes.
 */
export const DashboardEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("snapshot"),
    user: Me,
    overview: Overview.nullable(),
    jobs: z.array(Job).describe("open jobs"),
    desktops: z.array(Desktop).describe("the user's own"),
  }),
  z.object({ type: z.literal("overview"), overview: Overview }),
  z.object({ type: z.literal("machine"), machine: Machine }),
  z.object({ type: z.literal("machine-removed"), id: Id }),
  z.object({ type: z.literal("job"), job: Job }),
  z.object({ type: z.literal("hypervisor"), hypervisor: Hypervisor }),
  z.object({ type: z.literal("hypervisor-removed"), id: Id }),
  z.object({ type: z.literal("desktop-pool"), desktopPool: DesktopPool }),
  z.object({ type: z.literal("desktop-pool-removed"), id: Id }),
  z.object({ type: z.literal("image"), id: Id }).describe(
    "an initial's versions or rollout changed: load it again",
  ),
  z.object({ type: z.literal("upload"), upload: Upload }),
  z.object({ type: z.literal("user"), id: Id }).describe(
    "a user was created, changed or removed: load it again",
  ),
  z.object({ type: z.literal("lease"), lease: Lease }),
  z.object({ type: z.literal("audit"), id: z.int() }).describe("a new audit entry"),
  z.object({ type: z.literal("desktop"), desktop: Desktop }).describe(
    "one of the user's own desktops changed",
  ),
  z.object({ type: z.literal("desktop-ended"), id: Id, reason: z.string() }),
  z.object({ type: z.literal("my-desktop-pools") }).describe(
    "what the user may use changed: load the list again",
  ),
]);
export type DashboardEvent = z.infer<typeof DashboardEvent>;
