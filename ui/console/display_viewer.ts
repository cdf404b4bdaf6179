/**
 * What the console page needs of a display, whatever the protocol. The viewer draws into the element it was made for,
 * takes keyboard and pointer there, and knows nothing of tickets, leases or reconnection.
 */
import type { CloseReason } from "../../contracts/gateway.ts";

/** Why a display is gone: the gateway's reason, a lost connection, or the display's own refusal of the password. */
export type ViewerEnd = CloseReason | "lost" | "refused";

export type ViewerState =
  | { kind: "idle" }
  | { kind: "connecting" }
  /** The guest's screen is on the page. */
  | { kind: "connected" }
  | { kind: "closed"; reason: ViewerEnd };

/** fit: the whole screen in the window; actual: one pixel of the guest is one of the page, with scrollbars. */
export type Scale = "fit" | "actual";

export interface DisplayAddress {
  /** `ws:` or `wss:` URL, opened once a channel. */
  url: string;
  password: string;
}

export interface DisplayViewer {
  /** Opens the display; the last picture stays on the page until the new one is there. */
  connect(address: DisplayAddress): void;
  disconnect(): void;
  /** Holds keys down in this order, then lets them go: codes as in `KeyboardEvent.code`. */
  pressKeys(codes: readonly string[]): void;
  /** Types text as on a US keyboard; resolves to the characters that have no key there. */
  typeText(text: string): Promise<string>;
  setScale(scale: Scale): void;
  /** Asks the guest to take the window's size from now on; works if its agent runs. */
  setFollowWindow(follow: boolean): void;
  setShareClipboard(share: boolean): void;
  focus(): void;
  /** The guest's screen, as drawn; null before the first picture. */
  readonly canvas: HTMLCanvasElement | null;
  /** Whether the guest runs an agent for resizing and clipboard. */
  readonly hasAgent: boolean;
  /** Removes everything from the page. */
  dispose(): void;
}

export interface ViewerEvents {
  onState(state: ViewerState): void;
  /** The guest reads relative motion only: the pointer is caught until the user presses Escape. */
  onPointerLock(locked: boolean): void;
}
