import { CloseCode, type CloseReason } from "../../contracts/gateway.ts";
import { DisplayStage } from "./display_stage.ts";
import type { DisplayAddress, DisplayViewer, Scale, ViewerEnd, ViewerEvents } from "./display_viewer.ts";
import { GuestKeyboard } from "./keyboard.ts";
import { GuestPointer } from "./pointer.ts";
import { cssCursor, SpiceCursor } from "./spice_cursor.ts";
import {
  mouseModeAbsolute,
  openSpice,
  type SpiceChannel,
  type SpiceInputs,
  type SpiceListener,
  type SpiceMain,
} from "./spice_library.ts";

/** As SPICE acknowledges moves in fours, two bunches may be on their way. */
const mostUnacknowledgedMoves = 8;
const resizeDelayMs = 400;
const firstScreenMs = 20_000;

/** One connection: its channels, of which the first to close ends it. */
class SpiceSession implements SpiceListener {
  main: SpiceMain | undefined;
  ended = false;
  readonly #channels = new Set<SpiceChannel>();
  readonly #cursor = new SpiceCursor();

  constructor(
    readonly element: HTMLElement,
    readonly sharesClipboard: () => boolean,
    readonly onEnd: (reason: ViewerEnd) => void,
  ) {}

  onChannel(channel: SpiceChannel): void {
    if (this.ended) return channel.cleanup();
    this.#channels.add(channel);
    channel.ws?.addEventListener("close", (event) => this.end(endOf(event.code)));
  }

  onError(error: Error): void {
    this.end(/permission denied|bad password/i.test(error.message) ? "refused" : "lost");
  }

  onCursor(type: number, data: ArrayBuffer): void {
    const cursor = this.#cursor.receive(type, data);
    if (cursor && !this.ended) this.element.style.cursor = cssCursor(cursor);
  }

  get inputs(): SpiceInputs | undefined {
    const inputs = this.main?.inputs;
    return !this.ended && inputs?.state === "ready" ? inputs : undefined;
  }

  /** Closes every channel, and tells why unless we were asked to. */
  end(reason: ViewerEnd | null): void {
    if (this.ended) return;
    this.ended = true;
    this.main?.cleanup();
    for (const channel of this.#channels) channel.cleanup();
    if (reason) this.onEnd(reason);
  }
}

const reasonOfCode = new Map(
  Object.entries(CloseCode).map(([reason, code]) => [code, reason as CloseReason]),
);
const endOf = (code: number): ViewerEnd => reasonOfCode.get(code as never) ?? "lost";

/** A SPICE display in an element that can have the keyboard's focus. */
export function createSpiceViewer(
  element: HTMLElement,
  events: ViewerEvents & { onMenu(): void },
): DisplayViewer {
  let session: SpiceSession | undefined;
  let followWindow = true;
  let shareClipboard = true;
  let resizing: ReturnType<typeof setTimeout> | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const send = (message: ArrayBuffer) => session?.inputs?.ws?.send(message);

  const stage = new DisplayStage(element, () => askForSize());
  const keyboard = new GuestKeyboard({ send, onMenu: events.onMenu });
  const pointer = new GuestPointer(element, {
    canvas: () => stage.canvas,
    isAbsolute: () => session?.main?.mouse_mode === mouseModeAbsolute,
    canMove: () => (session?.inputs?.waiting_for_ack ?? 0) < mostUnacknowledgedMoves,
    send,
    sendMove(message) {
      if (session?.inputs) session.inputs.waiting_for_ack++;
      send(message);
    },
  });
  const listening = listenForKeys(element, keyboard, {
    onFocus: () => shareClipboard && session?.main?.agent_connected && session.main.send_clipboard_grab(),
    onPointerLock: events.onPointerLock,
  });

  function askForSize(): void {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      const { width, height } = stage.size;
      if (!followWindow || !session?.main?.agent_connected || width < 320 || height < 200) return;
      session.main.resize_window(0, width & ~7, height & ~1, 32, 0, 0);
    }, resizeDelayMs);
  }

  function closed(reason: ViewerEnd): void {
    clearTimeout(waiting);
    keyboard.reset();
    stage.discard();
    events.onState({ kind: "closed", reason });
  }

  async function connect({ url, password }: DisplayAddress): Promise<void> {
    session?.end(null);
    clearTimeout(waiting);
    const opened = new SpiceSession(element, () => shareClipboard, closed);
    session = opened;
    events.onState({ kind: "connecting" });
    waiting = setTimeout(() => opened.end("lost"), firstScreenMs);
    const screenId = stage.prepare(() => {
      if (opened.ended) return;
      clearTimeout(waiting);
      events.onState({ kind: "connected" });
    });
    try {
      const main = await openSpice({ url, password, screenId, onAgent: askForSize }, opened);
      opened.main = main;
      if (opened.ended) return main.cleanup();
      main.ws?.addEventListener("close", (event) => opened.end(endOf(event.code)));
      main.on("keyboard_modifiers", () => keyboard.setGuestLocks(main.inputs?.keyboard_modifiers ?? 0));
    } catch (error) {
      console.debug("SPICE client not loaded", error);
      opened.end("lost");
    }
  }

  return {
    connect: (address) => void connect(address),
    disconnect: () => session?.end(null),
    pressKeys: (codes) => keyboard.press(codes),
    typeText: (text) => keyboard.type(text),
    setScale: (scale: Scale) => stage.setScale(scale),
    setFollowWindow(follow) {
      followWindow = follow;
      askForSize();
    },
    setShareClipboard: (share) => void (shareClipboard = share),
    focus: () => element.focus({ preventScroll: true }),
    get canvas() {
      return stage.canvas;
    },
    get hasAgent() {
      return Boolean(session?.main?.agent_connected);
    },
    dispose() {
      session?.end(null);
      clearTimeout(resizing);
      clearTimeout(waiting);
      listening.abort();
      keyboard.reset();
      pointer.dispose();
      stage.dispose();
    },
  };
}

/** The keyboard is the guest's while the element has the focus. */
function listenForKeys(
  element: HTMLElement,
  keyboard: GuestKeyboard,
  on: { onFocus(): void; onPointerLock(locked: boolean): void },
): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  element.addEventListener("keydown", (event) => keyboard.keyDown(event), { signal });
  element.addEventListener("keyup", (event) => keyboard.keyUp(event), { signal });
  element.addEventListener("focus", () => {
    keyboard.gainFocus();
    on.onFocus();
  }, { signal });
  element.addEventListener("blur", () => keyboard.releaseAll(), { signal });
  document.addEventListener(
    "pointerlockchange",
    () => on.onPointerLock(document.pointerLockElement === element),
    { signal },
  );
  return controller;
}
