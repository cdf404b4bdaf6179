import type { DesktopPool } from "../../../contracts/desktop_pool.ts";
import { call } from "../../api.ts";
import { publish } from "../../events.ts";
import { plural } from "../../format.ts";
import { confirm } from "../../stores/confirm.ts";
import { toast, toastError } from "../../stores/toasts.ts";

/** Offers a pool to its users, or hides it from them. */
export async function setPoolEnabled(pool: DesktopPool, enabled: boolean): Promise<void> {
  try {
    const answer = await call("updateDesktopPool", { params: { id: pool.id }, body: { enabled } });
    publish({ type: "desktop-pool", desktopPool: answer.desktopPool });
  } catch (error) {
    toastError(`Could not switch ${pool.name} ${enabled ? "on" : "off"}`, error);
  }
}

/** Deletes a pool after a question; resolves to whether it is gone. */
export async function deletePool(pool: DesktopPool): Promise<boolean> {
  const inUse = pool.counts.inUse + pool.counts.starting;
  const agreed = await confirm({
    title: `Delete the desktop pool ${pool.name}?`,
    body:
      `Its ${plural(pool.counts.total, "machine")} stay, but ${
        plural(pool.entitledUsers, "user")
      } can't get a ` +
      `desktop from it any more.${inUse ? ` ${plural(inUse, "session")} will end.` : ""}`,
    confirmText: "Delete",
    danger: true,
    ...(inUse > 0 ? { typed: pool.name } : {}),
  });
  if (!agreed) return false;
  try {
    await call("deleteDesktopPool", { params: { id: pool.id } });
    publish({ type: "desktop-pool-removed", id: pool.id });
    toast({ variant: "success", title: `${pool.name} deleted` });
    return true;
  } catch (error) {
    toastError(`Could not delete ${pool.name}`, error);
    return false;
  }
}
