/** Shows a connection in remote-viewer: the connection goes through standard input, the bytes through our tunnel. */
import type { Connection } from "../contracts/desktop.ts";
import { ProcessError, type RunningProcess, spawn } from "../lib/process.ts";
import type { Dashboard } from "./dashboard.ts";
import { ClientError, exitCodes } from "./exit_codes.ts";
import { Tunnel } from "./tunnel.ts";

export interface ViewerOptions {
  /** The program and its arguments; the connection file comes on its standard input. */
  argv: string[];
  /** How long it may take until it opens the display. */
  openTimeoutMs: number;
  /** How long it may linger after the display was closed, as with an error dialog that nobody sees. */
  lingerMs: number;
}

/** remote-viewer's full screen has a bar to leave it; kiosk mode has nothing but the desktop. */
export const viewerArgv = (program: string, kiosk: boolean): string[] => [
  program,
  ...(kiosk ? ["--kiosk", "--kiosk-quit=on-disconnect"] : ["--full-screen"]),
  "-",
];

/** How it ended: `closed` by the user; `lost`, the display was closed from the other side; `stopped` by the signal. */
export type ViewerEnd = "closed" | "lost" | "stopped";

/**
 * Runs the viewer until it ends or is ended. remote-viewer shows errors in a dialog and never exits then, so it is ended
 * when it does not open the display in time, or does not leave once the display is closed.
 * @throws {ClientError} when the viewer cannot be started or does not open the display
 */
export async function showDesktop(
  dashboard: Dashboard,
  connection: Connection,
  options: ViewerOptions,
  signal: AbortSignal,
): Promise<ViewerEnd> {
  let opened = false;
  let byDashboard = false;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  const stop = new AbortController();
  const stopAfter = (ms: number) => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => stop.abort(), ms);
  };
  await using tunnel = new Tunnel(connection.proxyHost, () => dashboard.connect(), {
    onOpen: () => {
      opened = true;
      clearTimeout(watchdog);
    },
    onClose: (open, closedByDashboard) => {
      byDashboard ||= closedByDashboard;
      if (open === 0) stopAfter(options.lingerMs);
    },
  });
  const port = await tunnel.listen();
  stopAfter(options.openTimeoutMs);
  const viewer = startViewer(options.argv, AbortSignal.any([signal, stop.signal]));
  await hand(viewer, toVvFile(connection, port));
  const { code } = await viewer.status;
  clearTimeout(watchdog);
  if (signal.aborted) return "stopped";
  if (!opened) throw viewerFailed(options.argv, code, viewer.stderrTail());
  return byDashboard ? "lost" : "closed";
}

/** What shells, and setpriv as they, answer when there is no such program. */
const noSuchProgram = 127;

function viewerFailed([program]: string[], code: number, stderr: string): ClientError {
  const why = code === noSuchProgram
    ? `${program} could not be started: is the package virt-viewer installed?`
    : `${program} did not open the display. ${stderr.split("\n").at(-1) ?? ""}`.trim();
  return new ClientError(exitCodes.viewerFailed, why);
}

function startViewer(argv: string[], signal: AbortSignal): RunningProcess {
  try {
    return spawn(argv, {
      signal,
      stdin: true,
      stdout: "null",
      stderr: "piped",
      // The viewer speaks the user's language, unlike the commands whose output is read.
      env: { LC_ALL: Deno.env.get("LC_ALL") ?? "" },
      diesWithParent: true,
    });
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    throw viewerFailed(argv, noSuchProgram, "");
  }
}

async function hand(viewer: RunningProcess, text: string): Promise<void> {
  try {
    await viewer.write(text);
    await viewer.closeStdin();
  } catch (error) {
    // It ended before it read the connection: its status says so.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** remote-viewer(1), CONNECTION FILE. */
export function toVvFile(connection: Connection, tunnelPort: number): string {
  const fields = {
    type: connection.protocol,
    host: connection.proxyHost,
    port: connection.proxyPort,
    password: connection.password,
    proxy: `http://127.0.0.1:${tunnelPort}`,
    title: connection.title,
    "release-cursor": "shift+f12",
    "toggle-fullscreen": "shift+f11",
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}=${escapeValue(String(value))}`);
  return `[virt-viewer]\n${lines.join("\n")}\n`;
}

/** GKeyFile's escapes; control characters are dropped. */
const escapeValue = (value: string) =>
  // deno-lint-ignore no-control-regex
  value.replace(/[\u0000-\u001f\u007f]/g, "").replaceAll("\\", "\\\\").replace(/^ /, "\\s");
