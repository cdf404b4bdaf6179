import type { Connection } from "../../contracts/desktop.ts";
import { AppError, type ErrorCode } from "../../contracts/errors.ts";
import type { DisplayViewer, ViewerEnd, ViewerState } from "./display_viewer.ts";
import { finalWords, lostWords } from "./words.ts";

export type ConsoleState =
  /** Nothing to connect to yet, or any more. */
  | { kind: "idle" }
  /** `problem` says what went wrong before; the page tries again by itself. */
  | { kind: "connecting"; problem: string | null }
  | { kind: "connected"; connection: Connection }
  /** Needs the user: taken over, ended, refused for good, or left on purpose. */
  | { kind: "ended"; reason: ViewerEnd | "left" | "error"; message: string };

export interface ConsoleSessionOptions {
  viewer: Pick<DisplayViewer, "connect" | "disconnect">;
  /** Asks for a new one-time ticket. */
  open(signal: AbortSignal): Promise<Connection>;
  /** The WebSocket URL of a path of the dashboard. */
  urlOf(path: string): string;
  onChange(state: ConsoleState): void;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

const retryMs = [300, 1_000, 2_000, 4_000, 8_000, 15_000];
/** A machine that closes its screen is mostly being switched off: that is known a moment later, and ends the tries. */
const delayMs = (attempt: number, problem: string | null) =>
  Math.max(
    retryMs[Math.max(0, Math.min(attempt, retryMs.length - 1))]!,
    problem === lostWords.displayClosed ? 1_000 : 0,
  );
/** Asking again would be answered the same. */
const finalErrors: ErrorCode[] = ["forbidden", "not_found", "unauthenticated", "invalid"];

/** Keeps a display open: a new ticket for every try, again and again, until it ends for a reason that is final. */
export class ConsoleSession {
  readonly #options: ConsoleSessionOptions;
  #running: AbortController | null = null;
  #ready = false;
  #ended = false;
  #onReady: (() => void) | null = null;
  #onViewer: ((state: ViewerState) => void) | null = null;

  constructor(options: ConsoleSessionOptions) {
    this.#options = options;
  }

  /** Whether the machine can be shown at all; connecting waits for it. */
  setReady(ready: boolean): void {
    this.#ready = ready;
    if (!ready) return;
    this.#onReady?.();
    if (!this.#running && !this.#ended) this.reconnect();
  }

  /** Connects now, with a new ticket, whatever was before. */
  reconnect(): void {
    this.#stop();
    this.#ended = false;
    const running = new AbortController();
    this.#running = running;
    void this.#run(running.signal);
  }

  /** The user leaves. */
  leave(): void {
    this.#stop();
    this.#end("left", "You left this screen.");
  }

  /** It is over for a reason that others know. */
  end(message: string): void {
    this.#stop();
    this.#end("leaseEnded", message);
  }

  dispose(): void {
    this.#ended = true;
    this.#stop();
  }

  /** To be called with every state of the viewer. */
  onViewerState(state: ViewerState): void {
    this.#onViewer?.(state);
  }

  #stop(): void {
    this.#running?.abort();
    this.#running = null;
    this.#onViewer = null;
    this.#options.viewer.disconnect();
  }

  #end(reason: ViewerEnd | "left" | "error", message: string): void {
    this.#ended = true;
    this.#running = null;
    this.#options.onChange({ kind: "ended", reason, message });
  }

  async #run(signal: AbortSignal): Promise<void> {
    let problem: string | null = null;
    for (let attempt = 0; !signal.aborted; attempt++) {
      await this.#untilReady(signal);
      if (signal.aborted) return;
      this.#options.onChange({ kind: "connecting", problem });
      try {
        const connection = await this.#options.open(signal);
        if (signal.aborted) return;
        const reason = await this.#show(connection, () => attempt = -1);
        if (signal.aborted) return;
        if (reason in finalWords) return this.#end(reason, finalWords[reason]!.text);
        problem = lostWords[reason];
      } catch (error) {
        if (signal.aborted) return;
        problem = error instanceof Error ? error.message : String(error);
        if (error instanceof AppError && finalErrors.includes(error.code)) return this.#end("error", problem);
      }
      this.#options.onChange({ kind: "connecting", problem });
      await (this.#options.wait ?? wait)(delayMs(attempt, problem), signal);
    }
  }

  /** Shows the display; resolves with the reason when it is gone. */
  #show(connection: Connection, onConnected: () => void): Promise<ViewerEnd> {
    return new Promise((resolve) => {
      this.#onViewer = (state) => {
        if (state.kind === "connected") {
          onConnected();
          this.#options.onChange({ kind: "connected", connection });
        } else if (state.kind === "closed") {
          this.#onViewer = null;
          resolve(state.reason);
        }
      };
      const { viewer, urlOf } = this.#options;
      viewer.connect({ url: urlOf(connection.webSocketPath), password: connection.password });
    });
  }

  async #untilReady(signal: AbortSignal): Promise<void> {
    if (this.#ready) return;
    this.#options.onChange({ kind: "idle" });
    await new Promise<void>((resolve) => {
      this.#onReady = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.#onReady = null;
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
