import type { Desktop } from "../../contracts/desktop.ts";
import type { Machine } from "../../contracts/machine.ts";
import { call } from "../api.ts";
import { Waiting } from "../components/lazy.tsx";
import { Problem } from "../components/problem.tsx";
import { useEvents, useLoad } from "../stores/load.ts";
import { DesktopConsole } from "./desktop_console.tsx";
import { MachineConsole } from "./machine_console.tsx";
import type { ConsoleKind } from "./native_viewer.ts";

/** The screen of one machine (for staff) or of the user's own desktop, in the whole window. */
export function ConsolePage({ kind, id }: { kind: ConsoleKind; id: string }) {
  return kind === "machine" ? <LoadMachine id={id} /> : <LoadDesktop id={id} />;
}

function LoadMachine({ id }: { id: string }) {
  const loaded = useLoad<Machine>(
    id,
    async (signal) => (await call("getMachine", { params: { id }, signal })).machine,
  );
  useEvents((event) => {
    if (event.type === "machine" && event.machine.id === id) loaded.change(() => event.machine);
    if (event.type === "machine-removed" && event.id === id) loaded.reload();
  });
  if (loaded.value) return <MachineConsole machine={loaded.value} />;
  return <NotLoaded what="This machine could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
}

function LoadDesktop({ id }: { id: string }) {
  const loaded = useLoad<{ desktop: Desktop; endReason: string | null }>(id, async (signal) => ({
    desktop: (await call("getMyDesktop", { params: { id }, signal })).desktop,
    endReason: null,
  }));
  const adopt = (desktop: Desktop) => {
    if (desktop.id === id) loaded.change((old) => ({ ...old, desktop }));
  };
  useEvents((event) => {
    if (event.type === "desktop") adopt(event.desktop);
    if (event.type === "desktop-ended" && event.id === id) {
      loaded.change(({ desktop }) => ({ desktop: { ...desktop, state: "ended" }, endReason: event.reason }));
    }
  });
  if (loaded.value) return <DesktopConsole {...loaded.value} onChange={adopt} />;
  return <NotLoaded what="This desktop could not be loaded" error={loaded.error} onRetry={loaded.reload} />;
}

function NotLoaded({ what, error, onRetry }: { what: string; error: unknown; onRetry: () => void }) {
  return error ? <Problem title={what} error={error} onRetry={onRetry} /> : <Waiting />;
}
