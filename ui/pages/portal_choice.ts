import { signal } from "@preact/signals";

/** How desktops are opened: in this window, or with the native viewer (remote-viewer). Remembered in this browser. */
export type Opener = "browser" | "viewer";

const key = "kvm-vdi.opener";
export const opener = signal<Opener>(
  globalThis.localStorage?.getItem(key) === "viewer" ? "viewer" : "browser",
);

export function setOpener(choice: Opener): void {
  opener.value = choice;
  localStorage.setItem(key, choice);
}
