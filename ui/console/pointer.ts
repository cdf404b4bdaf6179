import {
  Button,
  buttonMask,
  buttonMessage,
  buttonOf,
  motionMessage,
  positionMessage,
} from "./spice_messages.ts";

/** One notch of a wheel, in pixels; touchpads send many small steps. */
const notchPixels = 100;
const linePixels = 34;
const mostNotches = 8;

export interface PointerTarget {
  /** The guest's screen on the page, at whatever size it is shown. */
  canvas(): HTMLCanvasElement | null;
  /** Whether the guest takes positions; else it takes motion only, and the pointer has to be locked. */
  isAbsolute(): boolean;
  /** Whether the display takes another move: it acknowledges them, and more would only queue up. */
  canMove(): boolean;
  sendMove(message: ArrayBuffer): void;
  send(message: ArrayBuffer): void;
}

/** Turns the browser's pointer events on an element into the guest's. */
export class GuestPointer {
  readonly #element: HTMLElement;
  readonly #target: PointerTarget;
  readonly #listening = new AbortController();
  #pending: { x: number; y: number; dx: number; dy: number; buttons: number } | null = null;
  #frame = 0;
  #wheelPixels = 0;

  constructor(element: HTMLElement, target: PointerTarget) {
    this.#element = element;
    this.#target = target;
    const { signal } = this.#listening;
    element.addEventListener("pointermove", (event) => this.#move(event), { signal });
    element.addEventListener("pointerdown", (event) => this.#button(event, true), { signal });
    element.addEventListener("pointerup", (event) => this.#button(event, false), { signal });
    element.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  }

  dispose(): void {
    this.#listening.abort();
    cancelAnimationFrame(this.#frame);
  }

  #move(event: PointerEvent): void {
    const at = this.#guestPoint(event);
    if (!at) return;
    const { dx, dy } = this.#pending ?? { dx: 0, dy: 0 };
    this.#pending = {
      ...at,
      dx: dx + event.movementX,
      dy: dy + event.movementY,
      buttons: buttonMask(event.buttons),
    };
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  /** At most one move a frame; the newest position stands for those before it. */
  #flush(): void {
    this.#frame = 0;
    if (!this.#pending) return;
    if (!this.#target.canMove()) {
      this.#frame = requestAnimationFrame(() => this.#flush());
      return;
    }
    this.#sendPending();
  }

  #sendPending(): void {
    if (!this.#pending) return;
    const { x, y, dx, dy, buttons } = this.#pending;
    this.#pending = null;
    if (this.#target.isAbsolute()) this.#target.sendMove(positionMessage(x, y, buttons));
    else if (document.pointerLockElement) this.#target.sendMove(motionMessage(dx, dy, buttons));
  }

  #button(event: PointerEvent, down: boolean): void {
    const button = buttonOf(event.button);
    if (button === undefined || !this.#target.canvas()) return;
    event.preventDefault();
    this.#element.focus({ preventScroll: true });
    if (down && !this.#target.isAbsolute() && !document.pointerLockElement) return void this.#lock();
    if (down) capture(this.#element, event.pointerId);
    this.#move(event);
    this.#sendPending();
    this.#target.send(buttonMessage(button, down, buttonMask(event.buttons)));
  }

  /** Browsers refuse soon after the user left a lock, or without a gesture: then the next click asks again. */
  async #lock(): Promise<void> {
    try {
      await this.#element.requestPointerLock();
    } catch (error) {
      console.debug("pointer lock refused", error);
    }
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    this.#wheelPixels += event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? linePixels : 1);
    const notches = Math.trunc(this.#wheelPixels / notchPixels);
    this.#wheelPixels -= notches * notchPixels;
    const button = notches < 0 ? Button.wheelUp : Button.wheelDown;
    const held = buttonMask(event.buttons);
    for (let i = 0; i < Math.min(mostNotches, Math.abs(notches)); i++) {
      this.#target.send(buttonMessage(button, true, held));
      this.#target.send(buttonMessage(button, false, held));
    }
  }

  #guestPoint(event: MouseEvent): { x: number; y: number } | null {
    const canvas = this.#target.canvas();
    return canvas && guestPoint(event, canvas.getBoundingClientRect(), canvas);
  }
}

/** The pixel of the guest's screen under a point of the page, whatever the scale; points beside it count to its edge. */
export function guestPoint(
  at: { clientX: number; clientY: number },
  shown: { left: number; top: number; width: number; height: number },
  screen: { width: number; height: number },
): { x: number; y: number } | null {
  if (shown.width === 0 || shown.height === 0) return null;
  const x = Math.floor((at.clientX - shown.left) * screen.width / shown.width);
  const y = Math.floor((at.clientY - shown.top) * screen.height / shown.height);
  return {
    x: Math.min(screen.width - 1, Math.max(0, x)),
    y: Math.min(screen.height - 1, Math.max(0, y)),
  };
}

/** Keeps a drag going outside the element; a pointer that is already up again can't be captured, and need not be. */
function capture(element: HTMLElement, pointerId: number): void {
  try {
    element.setPointerCapture(pointerId);
  } catch (error) {
    console.debug("pointer capture refused", error);
  }
}
