import { effect, signal } from "@preact/signals";
import type { Scale } from "./display_viewer.ts";

const stored = (key: string) => globalThis.localStorage?.getItem(`kvm-vdi.console.${key}`) ?? null;

/** How this browser shows consoles; remembered. */
export const scale = signal<Scale>(stored("scale") === "actual" ? "actual" : "fit");
export const followWindow = signal(stored("follow") !== "no");
export const shareClipboard = signal(stored("clipboard") !== "no");

effect(() => {
  globalThis.localStorage?.setItem("kvm-vdi.console.scale", scale.value);
  globalThis.localStorage?.setItem("kvm-vdi.console.follow", followWindow.value ? "yes" : "no");
  globalThis.localStorage?.setItem("kvm-vdi.console.clipboard", shareClipboard.value ? "yes" : "no");
});
