import type { Scale } from "./display_viewer.ts";

const surfaceSelector = "canvas[id='spice_surface_0']";
let lastId = 0;

/**
 * The place on the page where the guest's screens are shown: scaled by us, so that the pointer can be mapped back, and
 * with the last picture kept until a new display has its first one.
 */
export class DisplayStage {
  readonly #element: HTMLElement;
  readonly #resizing: ResizeObserver;
  #scale: Scale = "fit";
  #shown: HTMLElement | null = null;
  #next: HTMLElement | null = null;
  #watching: MutationObserver | undefined;
  readonly #onResize: (width: number, height: number) => void;

  constructor(element: HTMLElement, onResize: (width: number, height: number) => void) {
    this.#element = element;
    this.#onResize = onResize;
    this.#resizing = new ResizeObserver(() => this.#resized());
    this.#resizing.observe(element);
  }

  /** Makes an element for a display; `onFirstScreen` runs when the display has put a screen into it. */
  prepare(onFirstScreen: () => void): string {
    this.discard();
    const screen = document.createElement("div");
    screen.id = `display-${++lastId}`;
    screen.className = "kv-screen";
    screen.hidden = true;
    const frame = document.createElement("div");
    frame.className = "kv-screen-frame";
    frame.append(screen);
    this.#element.append(frame);
    this.#next = screen;
    this.#watching = new MutationObserver(() => {
      if (!screen.querySelector(surfaceSelector)) return;
      if (this.#next === screen) {
        this.#show(screen);
        onFirstScreen();
      }
      this.#layOut();
    });
    this.#watching.observe(screen, { childList: true });
    return screen.id;
  }

  /** Drops what was prepared and never shown. */
  discard(): void {
    this.#next?.parentElement?.remove();
    this.#next = null;
  }

  setScale(scale: Scale): void {
    this.#scale = scale;
    this.#layOut();
  }

  get canvas(): HTMLCanvasElement | null {
    return this.#shown?.querySelector(surfaceSelector) ?? null;
  }

  get size(): { width: number; height: number } {
    return { width: this.#element.clientWidth, height: this.#element.clientHeight };
  }

  dispose(): void {
    this.#watching?.disconnect();
    this.#resizing.disconnect();
    this.#element.replaceChildren();
  }

  #show(screen: HTMLElement): void {
    this.#shown?.parentElement?.remove();
    this.#shown = screen;
    this.#next = null;
    screen.hidden = false;
  }

  #resized(): void {
    this.#layOut();
    const { width, height } = this.size;
    if (width > 0 && height > 0) this.#onResize(width, height);
  }

  #layOut(): void {
    const { canvas } = this;
    const frame = this.#shown?.parentElement;
    if (!canvas || !frame || !this.#shown) return;
    const { width, height } = this.size;
    const scale = this.#scale === "fit" ? Math.min(width / canvas.width, height / canvas.height) : 1;
    this.#element.dataset.scale = this.#scale;
    Object.assign(this.#shown.style, {
      width: `${canvas.width}px`,
      height: `${canvas.height}px`,
      transform: `scale(${scale})`,
    });
    frame.style.width = `${Math.floor(canvas.width * scale)}px`;
    frame.style.height = `${Math.floor(canvas.height * scale)}px`;
  }
}
