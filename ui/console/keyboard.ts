import { keyMessage, locksMessage } from "./spice_messages.ts";
import { keysOfCharacter, spiceScancode } from "./scancodes.ts";

/** The guest's PS/2 controller queues 16 bytes and loses the rest: never send keys faster than this. */
const keyIntervalMs = 8;
/** Windows reports AltGr as Control, then Alt, at once; a person is slower. */
const altGrMs = 30;
const menuKey = /^(Control|Alt|Shift)(Left|Right)$/;

export interface KeyboardOptions {
  send(message: ArrayBuffer): void;
  /** Control, Alt and Shift together, and nothing else: the way from the guest to the page for keyboard users. */
  onMenu(): void;
  platform?: "mac" | "windows" | "other";
}

/** Turns the browser's key events into the guest's, and knows which keys the guest believes are down. */
export class GuestKeyboard {
  readonly #options: KeyboardOptions;
  readonly #platform: string;
  readonly #down = new Set<string>();
  readonly #queue: ArrayBuffer[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heldControl: ReturnType<typeof setTimeout> | undefined;
  #ghostControl = false;
  #menuArmed = false;
  #guestLocks: number | null = null;
  #locksChecked = false;

  constructor(options: KeyboardOptions) {
    this.#options = options;
    this.#platform = options.platform ?? platformOf(navigator.userAgent);
  }

  /** What the guest's lock lights show: bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock. */
  setGuestLocks(locks: number): void {
    this.#guestLocks = locks;
  }

  /** The screen got the keyboard: its lock keys may have been changed elsewhere. */
  gainFocus(): void {
    this.#locksChecked = false;
  }

  keyDown(event: KeyboardEvent): void {
    if (spiceScancode(event.code, true) === undefined) return;
    event.preventDefault();
    this.#syncLocks(event);
    this.#armMenu(event);
    if (this.#platform === "windows" && this.#holdControl(event)) return;
    if (lacksShift(event)) this.#pressShifted(event.code);
    else this.#send(event.code, true);
    // macOS does not tell when a key is let go while Command is down, and Caps Lock is one event a change.
    const silent = event.metaKey && !event.code.startsWith("Meta") || event.code === "CapsLock";
    if (this.#platform === "mac" && silent) this.#send(event.code, false);
  }

  keyUp(event: KeyboardEvent): void {
    if (spiceScancode(event.code, false) === undefined) return;
    event.preventDefault();
    if (this.#menuArmed) {
      this.#menuArmed = false;
      this.#options.onMenu();
    }
    if (event.code === "ControlLeft" && this.#ghostControl) {
      this.#ghostControl = false;
      return;
    }
    if (event.code === "ControlLeft") this.#sendHeldControl();
    if (this.#platform === "mac" && event.code === "CapsLock") this.#send("CapsLock", true);
    if (this.#down.has(event.code)) this.#send(event.code, false);
  }

  /** Holds keys down in order, then lets them go in reverse. */
  press(codes: readonly string[]): void {
    for (const code of codes) this.#send(code, true);
    for (const code of [...codes].reverse()) this.#send(code, false);
  }

  /** Types on a US keyboard. Resolves, once all is sent, to the characters that have no key there. */
  async type(text: string): Promise<string> {
    let missing = "";
    for (const character of text.replaceAll("\r\n", "\n")) {
      const keys = keysOfCharacter(character);
      if (keys) this.press(keys);
      else missing += character;
    }
    while (this.#queue.length > 0) await new Promise((resolve) => setTimeout(resolve, keyIntervalMs * 4));
    return missing;
  }

  /** Lets every key go, as when the window loses the keyboard: the guest must not believe that one is still held. */
  releaseAll(): void {
    clearTimeout(this.#heldControl);
    this.#heldControl = undefined;
    this.#ghostControl = this.#menuArmed = false;
    for (const code of this.#down) this.#send(code, false);
  }

  /** Forgets what was to be sent: the display is gone. */
  reset(): void {
    this.#down.clear();
    this.#queue.length = 0;
    this.#guestLocks = null;
    clearTimeout(this.#heldControl);
    this.#heldControl = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #send(code: string, down: boolean): void {
    const scancode = spiceScancode(code, down);
    if (scancode === undefined) return;
    if (down) this.#down.add(code);
    else this.#down.delete(code);
    this.#enqueue(keyMessage(scancode, down));
  }

  #pressShifted(code: string): void {
    this.#send("ShiftLeft", true);
    this.#send(code, true);
    this.#send("ShiftLeft", false);
  }

  #enqueue(message: ArrayBuffer): void {
    this.#queue.push(message);
    if (this.#timer === undefined) this.#drain();
  }

  #drain(): void {
    const message = this.#queue.shift();
    this.#timer = message && setTimeout(() => this.#drain(), keyIntervalMs);
    if (message) this.#options.send(message);
  }

  #armMenu(event: KeyboardEvent): void {
    const all = event.ctrlKey && event.altKey && event.shiftKey;
    this.#menuArmed = all && menuKey.test(event.code);
  }

  #holdControl(event: KeyboardEvent): boolean {
    if (event.code === "ControlLeft" && !event.repeat && !this.#heldControl) {
      this.#heldControl = setTimeout(() => this.#sendHeldControl(), altGrMs);
      return true;
    }
    if (event.code === "AltRight" && this.#heldControl) {
      clearTimeout(this.#heldControl);
      this.#heldControl = undefined;
      this.#ghostControl = true;
    } else this.#sendHeldControl();
    return event.code === "ControlLeft" && this.#ghostControl;
  }

  #sendHeldControl(): void {
    if (!this.#heldControl) return;
    clearTimeout(this.#heldControl);
    this.#heldControl = undefined;
    this.#send("ControlLeft", true);
  }

  /** Once after each gain of focus: the guest's lock keys follow the user's. */
  #syncLocks(event: KeyboardEvent): void {
    if (this.#locksChecked || this.#guestLocks === null || event.code.endsWith("Lock")) return;
    this.#locksChecked = true;
    const own = this.#platform === "mac" ? ["", "", "CapsLock"] : ["ScrollLock", "NumLock", "CapsLock"];
    const locks = own.reduce((mask, key, bit) => {
      const on = key ? event.getModifierState(key) : (this.#guestLocks! >> bit) & 1;
      return on ? mask | (1 << bit) : mask;
    }, 0);
    if (locks !== this.#guestLocks) this.#enqueue(locksMessage(locks));
  }
}

/** On-screen keyboards and automation send the capital of a key without ever pressing Shift. */
function lacksShift(event: KeyboardEvent): boolean {
  if (event.shiftKey || event.getModifierState("CapsLock")) return false;
  const keys = keysOfCharacter(event.key);
  return keys?.length === 2 && keys[1] === event.code;
}

export const platformOf = (userAgent: string) =>
  /Macintosh|iPhone|iPad/.test(userAgent) ? "mac" : /Windows/.test(userAgent) ? "windows" : "other";
