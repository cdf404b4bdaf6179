/** What users are told while they work: their session is going to be ended then. */
import type { App } from "../app.ts";
import { type Notice, writeNotice } from "./store.ts";

/** Tells the users of these leases, or (null) that nothing comes of it; leases that have ended are left out. */
export async function noticeLeases(
  app: Pick<App, "db" | "bus">,
  leaseIds: readonly string[],
  notice: Notice | null,
): Promise<void> {
  for (const { id, userId } of await writeNotice(app.db, leaseIds, notice)) {
    app.bus.publish({ type: "lease", id, userId: userId ?? "", ended: false });
  }
}
