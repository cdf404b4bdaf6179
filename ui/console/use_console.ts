import { useEffect, useRef, useState } from "preact/hooks";
import type { Connection } from "../../contracts/desktop.ts";
import { gatewayPaths } from "../../contracts/gateway.ts";
import { call } from "../api.ts";
import { ConsoleSession, type ConsoleState } from "./console_session.ts";
import type { DisplayViewer } from "./display_viewer.ts";
import { measureLatency } from "./latency.ts";
import type { ConsoleKind } from "./native_viewer.ts";
import { followWindow, scale, shareClipboard } from "./preferences.ts";
import { createSpiceViewer } from "./spice_viewer.ts";

interface Options {
  kind: ConsoleKind;
  id: string;
  /** Whether there is a screen to connect to. */
  ready: boolean;
  onMenu(): void;
}

/** A display in an element of the page, kept connected while the component is there. */
export function useConsole({ kind, id, ready, onMenu }: Options) {
  const element = useRef<HTMLDivElement>(null);
  const parts = useRef<{ viewer: DisplayViewer; session: ConsoleSession } | null>(null);
  const menu = useRef(onMenu);
  menu.current = onMenu;
  const [state, setState] = useState<ConsoleState>({ kind: "idle" });
  const [pointerLocked, setPointerLocked] = useState(false);

  useEffect(() => {
    const viewer: DisplayViewer = createSpiceViewer(element.current!, {
      onState: (next) => session.onViewerState(next),
      onPointerLock: setPointerLocked,
      onMenu: () => menu.current(),
    });
    const session = new ConsoleSession({
      viewer,
      open: (signal) => openConnection(kind, id, signal),
      urlOf: webSocketUrl,
      onChange: setState,
    });
    parts.current = { viewer, session };
    return () => {
      session.dispose();
      viewer.dispose();
    };
  }, [kind, id]);
  useEffect(() => parts.current?.session.setReady(ready), [ready, kind, id]);
  useEffect(() => state.kind === "connected" ? parts.current?.viewer.focus() : undefined, [state.kind]);

  const { value: chosenScale } = scale;
  const { value: follows } = followWindow;
  const { value: shares } = shareClipboard;
  useEffect(() => {
    parts.current?.viewer.setScale(chosenScale);
    parts.current?.viewer.setFollowWindow(follows);
    parts.current?.viewer.setShareClipboard(shares);
  }, [chosenScale, follows, shares, id]);

  return {
    element,
    state,
    pointerLocked,
    latencyMs: useLatency(state),
    hasPicture: Boolean(parts.current?.viewer.canvas),
    viewer: () => parts.current?.viewer,
    reconnect: () => parts.current?.session.reconnect(),
    leave: () => parts.current?.session.leave(),
  };
}
export type Console = ReturnType<typeof useConsole>;

function useLatency(state: ConsoleState): number | null {
  const [milliseconds, setMilliseconds] = useState<number | null>(null);
  const ticket = state.kind === "connected" ? state.connection.proxyHost : null;
  useEffect(
    () => ticket ? measureLatency(webSocketUrl(gatewayPaths.latency(ticket)), setMilliseconds) : undefined,
    [ticket],
  );
  return ticket ? milliseconds : null;
}

const openConnection = (kind: ConsoleKind, id: string, signal: AbortSignal): Promise<Connection> =>
  kind === "machine"
    ? call("openConsole", { params: { id }, signal })
    : call("connectMyDesktop", { params: { id }, signal });

function webSocketUrl(path: string): string {
  const { protocol, host } = globalThis.location;
  return `${protocol === "https:" ? "wss" : "ws"}://${host}${path}`;
}
