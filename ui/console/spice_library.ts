/**
 * Loads the npm package `spice-client` (LGPL-3, a file of its own that can be replaced) and puts right what gets in our
 * way: it throws where nobody catches, logs everything, takes the keyboard and pointer itself with keys that never come
 * up, finds its elements by ids of the whole page, and opens channels that it cannot serve.
 */
import type * as Library from "spice-client";
import { filterChannels } from "./spice_messages.ts";

/** What we use of a channel; the package's own types are loose. */
export interface SpiceChannel {
  ws: WebSocket | undefined;
  state: string;
  parent?: SpiceMain;
  cleanup(): void;
}
export interface SpiceInputs extends SpiceChannel {
  /** Moves that the server has not acknowledged yet. */
  waiting_for_ack: number;
  keyboard_modifiers: number | undefined;
}
export interface SpiceMain extends SpiceChannel {
  inputs?: SpiceInputs;
  mouse_mode: number;
  agent_connected: boolean | undefined;
  resize_window(flags: number, width: number, height: number, depth: number, x: number, y: number): void;
  send_clipboard_grab(): void;
  on(event: "keyboard_modifiers", handler: () => void): void;
}

/** What a viewer is told about its channels. */
export interface SpiceListener {
  onChannel(channel: SpiceChannel): void;
  onError(error: Error): void;
  onCursor(type: number, data: ArrayBuffer): void;
  sharesClipboard(): boolean;
}

interface Message {
  type: number;
  data: ArrayBuffer | undefined;
}
/** Methods of the library's prototypes that are replaced below. */
interface Patched extends SpiceChannel {
  send_hdr(): void;
  process_message(message: Message): boolean;
  process_channel_message(message: Message): boolean;
  [name: string]: unknown;
}

export const mouseModeAbsolute = 2;
const channelsList = 104;
/** Display, inputs, sound, cursor: the order in which they are opened. */
const wantedChannels = [2, 3, 5, 4];

const listeners = new WeakMap<object, SpiceListener>();
let loading: Promise<typeof Library> | undefined;

/** Opens a display's main channel; the library opens the others, and draws into the element with the id `screenId`. */
export async function openSpice(
  options: { url: string; password: string; screenId: string; onAgent(): void },
  listener: SpiceListener,
): Promise<SpiceMain> {
  loading ??= import("spice-client").then(patch, (error) => {
    loading = undefined;
    throw error;
  });
  const { SpiceMainConn } = await loading;
  const main = new SpiceMainConn({
    uri: options.url,
    password: options.password,
    screen_id: options.screenId,
    scale_view: false,
    onagent: options.onAgent,
  }) as unknown as SpiceMain;
  listeners.set(main, listener);
  return main;
}

const listenerOf = (channel: SpiceChannel) => listeners.get(channel.parent ?? channel);
const prototypeOf = (constructor: { prototype: object }) => constructor.prototype as Patched;

function patch(library: typeof Library): typeof Library {
  patchEveryChannel(prototypeOf(library.SpiceConn));
  patchMain(prototypeOf(library.SpiceMainConn));
  patchDisplay(prototypeOf(library.SpiceDisplayConn));
  prototypeOf(library.SpiceCursorConn).process_channel_message = function (
    this: SpiceChannel,
    { type, data },
  ) {
    listenerOf(this)?.onCursor(type, data ?? new ArrayBuffer(0));
    return true;
  };
  return library;
}

function patchEveryChannel(channel: Patched): void {
  const { send_hdr: sendHeader, process_message: process } = channel;
  channel.log_info = channel.log_warn = channel.log_err = () => {};
  channel.report_error = function (this: SpiceChannel, error: Error) {
    listenerOf(this)?.onError(error);
  };
  channel.send_hdr = function (this: SpiceChannel) {
    listenerOf(this)?.onChannel(this);
    sendHeader.call(this as Patched);
  };
  // What a hostile or newer server sends must not stop the channel: the rest of the stream is still in step.
  channel.process_message = function (this: SpiceChannel, message) {
    try {
      return process.call(this as Patched, message);
    } catch (error) {
      console.debug("SPICE message", message.type, "not understood", error);
      return false;
    }
  };
}

function patchMain(main: Patched): void {
  const { process_channel_message: process } = main;
  main.process_channel_message = function (this: SpiceChannel, message) {
    if (message.type === channelsList && message.data) {
      message = Object.assign(message, { data: filterChannels(message.data, wantedChannels) });
    }
    return process.call(this as Patched, message);
  };
  for (const name of ["handle_clipboard_grab", "handle_clipboard_receive", "handle_clipboard_send"]) {
    const original = main[name] as (data: unknown) => void;
    main[name] = function (this: SpiceChannel, data: unknown) {
      if (listenerOf(this)?.sharesClipboard()) original.call(this, data);
    };
  }
}

interface Surface {
  canvas: HTMLCanvasElement;
}
interface DisplayChannel extends SpiceChannel {
  surfaces: Record<number, Surface> | undefined;
  primary_surface: number | undefined;
  cache: Record<number, ImageData> | undefined;
}
interface DrawCopy {
  image_data: ImageData;
  src_area: { left: number; top: number; right: number; bottom: number };
  descriptor?: { flags: number; id: number };
}
const cacheMe = 1;

function patchDisplay(display: Patched): void {
  display.hook_events = display.unhook_events = () => {};
  display.delete_surface = function (this: DisplayChannel, id: number) {
    this.surfaces?.[id]?.canvas.remove();
    if (this.primary_surface === id) this.primary_surface = undefined;
    delete this.surfaces?.[id];
  };
  const draw = display.draw_copy_helper as (copy: DrawCopy) => boolean;
  // The library draws the whole source image where a part of it was meant.
  display.draw_copy_helper = function (this: DisplayChannel, copy: DrawCopy) {
    const { src_area: { left, top }, descriptor, image_data } = copy;
    if (left <= 0 && top <= 0) return draw.call(this, copy);
    if (descriptor && descriptor.flags & cacheMe) (this.cache ??= {})[descriptor.id] = image_data;
    return draw.call(this, { ...copy, image_data: crop(copy), descriptor: undefined });
  };
}

function crop({ image_data: image, src_area: area }: DrawCopy): ImageData {
  const canvas = new OffscreenCanvas(area.right - area.left, area.bottom - area.top);
  const context = canvas.getContext("2d")!;
  context.putImageData(image, -area.left, -area.top);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
