/**
 * SPICE's client messages for keyboard and pointer, and the two server messages that the library leaves out
 * (https://www.spice-space.org/spice-protocol.html; spice.proto in spice-common). Little endian; 6-byte mini header.
 */
const Message = {
  keyDown: 101,
  keyUp: 102,
  keyModifiers: 103,
  mouseMotion: 111,
  mousePosition: 112,
  mousePress: 113,
  mouseRelease: 114,
} as const;

export const Button = {
  left: 1,
  middle: 2,
  right: 3,
  wheelUp: 4,
  wheelDown: 5,
  back: 6,
  forward: 7,
} as const;
const headerBytes = 6;

function message(type: number, bodyBytes: number, write: (body: DataView) => void): ArrayBuffer {
  const buffer = new ArrayBuffer(headerBytes + bodyBytes);
  const header = new DataView(buffer);
  header.setUint16(0, type, true);
  header.setUint32(2, bodyBytes, true);
  write(new DataView(buffer, headerBytes));
  return buffer;
}

export const keyMessage = (scancode: number, down: boolean) =>
  message(down ? Message.keyDown : Message.keyUp, 4, (body) => body.setUint32(0, scancode, true));

/** Sets the guest's lock keys: bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock. */
export const locksMessage = (locks: number) =>
  message(Message.keyModifiers, 2, (body) => body.setUint16(0, locks, true));

/** Where the pointer is, in pixels of the guest's screen. */
export const positionMessage = (x: number, y: number, buttons: number) =>
  message(Message.mousePosition, 11, (body) => {
    body.setUint32(0, x, true);
    body.setUint32(4, y, true);
    body.setUint16(8, buttons, true);
    body.setUint8(10, 0); // the first display
  });

/** How far the pointer went, for guests that do not know where it is. */
export const motionMessage = (dx: number, dy: number, buttons: number) =>
  message(Message.mouseMotion, 10, (body) => {
    body.setInt32(0, dx, true);
    body.setInt32(4, dy, true);
    body.setUint16(8, buttons, true);
  });

export const buttonMessage = (button: number, down: boolean, buttons: number) =>
  message(down ? Message.mousePress : Message.mouseRelease, 3, (body) => {
    body.setUint8(0, button);
    body.setUint16(1, buttons, true);
  });

/** SPICE's button mask of a pointer event's `buttons` (left 1, right 2, middle 4, back 8, forward 16). */
export function buttonMask(buttons: number): number {
  const bit = (from: number, to: number) => buttons & from ? to : 0;
  return bit(1, 1) | bit(4, 2) | bit(2, 4) | bit(8, 32) | bit(16, 64);
}

/** SPICE's button of a pointer event's `button`. */
export const buttonOf = (button: number) =>
  [Button.left, Button.middle, Button.right, Button.back, Button.forward][button];

/** Keeps those channels of a SPICE_MSG_MAIN_CHANNELS_LIST whose type is wanted, in the order of `wanted`. */
export function filterChannels(list: ArrayBuffer, wanted: readonly number[]): ArrayBuffer {
  const view = new DataView(list);
  const count = Math.min(view.getUint32(0, true), (list.byteLength - 4) >> 1);
  const channels = Array.from(
    { length: count },
    (_, i) => [view.getUint8(4 + 2 * i), view.getUint8(5 + 2 * i)],
  );
  const kept = wanted.flatMap((type) => channels.filter((channel) => channel[0] === type));
  const result = new DataView(new ArrayBuffer(4 + 2 * kept.length));
  result.setUint32(0, kept.length, true);
  kept.flat().forEach((byte, i) => result.setUint8(4 + i, byte!));
  return result.buffer;
}
