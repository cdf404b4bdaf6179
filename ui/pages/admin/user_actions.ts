import type { z } from "zod";
import type { UpdateUser, User } from "../../../contracts/user.ts";
import { call } from "../../api.ts";
import { publish } from "../../events.ts";
import { confirm } from "../../stores/confirm.ts";
import { toast, toastError } from "../../stores/toasts.ts";

export const userRoleTexts = { admin: "Admin", operator: "Operator", user: "User" } as const;
export const userRoleHelp = {
  admin: "everything",
  operator: "machines, pools and sessions; not users and settings",
  user: "their own desktops",
} as const;

/** Whether an account is locked after too many wrong passwords. */
export const isLocked = (user: Pick<User, "lockedUntil">) =>
  user.lockedUntil !== null && user.lockedUntil > Date.now();

export async function updateUser(user: User, body: z.input<typeof UpdateUser>, done: string): Promise<void> {
  try {
    await call("updateUser", { params: { id: user.id }, body });
    publish({ type: "user", id: user.id });
    toast({ variant: "success", title: done });
  } catch (error) {
    toastError(`Could not change ${user.username}`, error);
  }
}

/** Disables or enables an account; a disabled user's sessions end. */
export async function setUserDisabled(user: User, disabled: boolean): Promise<void> {
  if (disabled) {
    const agreed = await confirm({
      title: `Disable ${user.username}?`,
      body: `${user.username} is signed out at once and can't sign in again until you enable the account.`,
      confirmText: "Disable",
      danger: true,
    });
    if (!agreed) return;
  }
  await updateUser(user, { disabled }, `${user.username} ${disabled ? "disabled" : "enabled"}`);
}

/** Deletes an account after a question; resolves to whether it is gone. */
export async function deleteUser(user: User): Promise<boolean> {
  const agreed = await confirm({
    title: `Delete ${user.username}?`,
    body: "The account and its entitlements are deleted, and its sessions end. Machines stay.",
    confirmText: "Delete",
    danger: true,
    ...(user.role === "user" ? {} : { typed: user.username }),
  });
  if (!agreed) return false;
  try {
    await call("deleteUser", { params: { id: user.id } });
    publish({ type: "user", id: user.id });
    toast({ variant: "success", title: `${user.username} deleted` });
    return true;
  } catch (error) {
    toastError(`Could not delete ${user.username}`, error);
    return false;
  }
}
