/** Short notices of results. Problems that need action belong in an alert on the page instead. */
import { signal } from "@preact/signals";
import { messageOf } from "../api.ts";

export interface Toast {
  id: number;
  variant: "success" | "info" | "warning" | "danger";
  title: string;
  detail?: string;
  link?: { href: string; text: string };
  error?: unknown;
}

export const toasts = signal<Toast[]>([]);
let lastId = 0;

/** Shows a notice; at most five at a time, the oldest goes. */
export function toast(notice: Omit<Toast, "id">): void {
  toasts.value = [...toasts.value.slice(-4), { ...notice, id: ++lastId }];
}

/** Says that something the user asked for failed, and why. */
export function toastError(title: string, error: unknown): void {
  toast({ variant: "danger", title, detail: messageOf(error), error });
}

export const dismissToast = (id: number) => {
  toasts.value = toasts.value.filter((notice) => notice.id !== id);
};
