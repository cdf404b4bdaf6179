/** A virtual screen with a window manager, as a thin client has: what is drawn on it, and keys typed on it. */
import { run, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

export interface Screen extends AsyncDisposable {
  /** For programs that are to appear on it. */
  env: Record<string, string>;
  /** How many colours the screen has now; an empty one has one. */
  colours(): Promise<number>;
  /** Types text and Return. */
  typeLine(text: string): Promise<void>;
  /** Asks the active window to close, as its close button does. */
  closeWindow(): Promise<void>;
  screenshot(path: string): Promise<void>;
}

/** Starts Xvfb on a free display, and openbox on it: without a window manager nothing is ever full screen. */
export async function startScreen(width = 1024, height = 768): Promise<Screen> {
  await using started = new AsyncDisposableStack();
  const server = started.adopt(
    spawn(["Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", `${width}x${height}x24`], {
      stderr: "null",
      diesWithParent: true,
    }),
    (server) => void server.stop(),
  );
  const { value: display } = await server.lines().next();
  const env = { DISPLAY: `:${display}` };
  started.adopt(
    spawn(["openbox"], { env, stdout: "null", stderr: "null", diesWithParent: true }),
    (manager) => void manager.stop(),
  );
  const x = async (...argv: string[]) => (await run(argv, { env })).stdout;
  await eventually(
    "the window manager runs",
    async () => /_NET_SUPPORTING_WM_CHECK/.test(await x("xprop", "-root", "-notype")),
    {
      timeoutMs: 20_000,
    },
  );
  const running = started.move();
  return {
    env,
    colours: async () => Number(await x("import", "-silent", "-window", "root", "-format", "%k", "info:")),
    typeLine: async (text) => {
      await x("xdotool", "type", "--delay", "60", text);
      await x("xdotool", "key", "Return");
    },
    closeWindow: async () => {
      await x("wmctrl", "-c", ":ACTIVE:");
    },
    screenshot: async (path) => void await x("import", "-silent", "-window", "root", path),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
