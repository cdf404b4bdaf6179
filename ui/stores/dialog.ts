/** The one dialog that a menu or button has opened: menus go away when they are used, their dialogs stay. */
import { signal } from "@preact/signals";
import type { ReactNode } from "react";

interface Shown {
  id: number;
  render: () => ReactNode;
}

export const dialog = signal<Shown | null>(null);
let lastId = 0;

/** Shows a dialog until it calls `close`. */
export function showDialog(render: (close: () => void) => ReactNode): void {
  const id = ++lastId;
  const close = () => {
    if (dialog.peek()?.id === id) dialog.value = null;
  };
  dialog.value = { id, render: () => render(close) };
}
