import { useEffect } from "preact/hooks";
import type { ReactNode } from "react";
import { location } from "../router.ts";
import { dialog } from "../stores/dialog.ts";

/** Where the dialogs of menus appear. Going to another page closes them. */
export function DialogHost() {
  const shown = dialog.value;
  const { path } = location.value;
  useEffect(() => () => void (dialog.value = null), [path]);
  return shown && <Shown key={shown.id} render={shown.render} />;
}

const Shown = ({ render }: { render: () => ReactNode }) => <>{render()}</>;
