/**
 * PC scan codes (set 1) of a key's place on the keyboard, by `KeyboardEvent.code`
 * (https://www.w3.org/TR/uievents-code/). The guest's own layout makes letters of them. 0xe0 marks extended keys.
 */
const plain: Record<string, number> = {
  Escape: 0x01,
  Minus: 0x0c,
  Equal: 0x0d,
  Backspace: 0x0e,
  Tab: 0x0f,
  BracketLeft: 0x1a,
  BracketRight: 0x1b,
  Enter: 0x1c,
  ControlLeft: 0x1d,
  Semicolon: 0x27,
  Quote: 0x28,
  Backquote: 0x29,
  ShiftLeft: 0x2a,
  Backslash: 0x2b,
  Comma: 0x33,
  Period: 0x34,
  Slash: 0x35,
  ShiftRight: 0x36,
  NumpadMultiply: 0x37,
  AltLeft: 0x38,
  Space: 0x39,
  CapsLock: 0x3a,
  NumLock: 0x45,
  ScrollLock: 0x46,
  Numpad7: 0x47,
  Numpad8: 0x48,
  Numpad9: 0x49,
  NumpadSubtract: 0x4a,
  Numpad4: 0x4b,
  Numpad5: 0x4c,
  Numpad6: 0x4d,
  NumpadAdd: 0x4e,
  Numpad1: 0x4f,
  Numpad2: 0x50,
  Numpad3: 0x51,
  Numpad0: 0x52,
  NumpadDecimal: 0x53,
  IntlBackslash: 0x56,
  F11: 0x57,
  F12: 0x58,
  NumpadEqual: 0x59,
  KanaMode: 0x70,
  IntlRo: 0x73,
  Convert: 0x79,
  NonConvert: 0x7b,
  IntlYen: 0x7d,
  NumpadComma: 0x7e,
};

const extended: Record<string, number> = {
  MediaTrackPrevious: 0x10,
  MediaTrackNext: 0x19,
  NumpadEnter: 0x1c,
  ControlRight: 0x1d,
  AudioVolumeMute: 0x20,
  MediaPlayPause: 0x22,
  MediaStop: 0x24,
  AudioVolumeDown: 0x2e,
  AudioVolumeUp: 0x30,
  NumpadDivide: 0x35,
  PrintScreen: 0x37,
  AltRight: 0x38,
  Pause: 0x46,
  Home: 0x47,
  ArrowUp: 0x48,
  PageUp: 0x49,
  ArrowLeft: 0x4b,
  ArrowRight: 0x4d,
  End: 0x4f,
  ArrowDown: 0x50,
  PageDown: 0x51,
  Insert: 0x52,
  Delete: 0x53,
  MetaLeft: 0x5b,
  MetaRight: 0x5c,
  ContextMenu: 0x5d,
};

const rows: [first: number, codes: string][] = [
  [0x02, "Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0"],
  [0x10, "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP"],
  [0x1e, "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL"],
  [0x2c, "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM"],
  [0x3b, "F1 F2 F3 F4 F5 F6 F7 F8 F9 F10"],
];
for (const [first, codes] of rows) {
  for (const [place, code] of codes.split(" ").entries()) plain[code] = first + place;
}

/**
 * The scan code in SPICE's form: bytes in the order of the wire, so an extended key is 0xe0 in the low byte. A release
 * has bit 7 set in its last byte, without which the key would repeat for ever. Undefined for keys no PC keyboard has.
 */
export function spiceScancode(code: string, down: boolean): number | undefined {
  const release = down ? 0 : 0x80;
  const simple = plain[code];
  if (simple !== undefined) return simple | release;
  const special = extended[code];
  return special === undefined ? undefined : 0xe0 | ((special | release) << 8);
}

const shifted = new Map<string, string>();
const unshifted = new Map<string, string>([[" ", "Space"], ["\n", "Enter"], ["\t", "Tab"]]);
const characterKeys: [characters: string, codes: string][] = [
  ["1!2@3#4$5%6^7&8*9(0)", rows[0]![1]],
  [
    "-_=+[{]}\\|;:'\"`~,<.>/?",
    "Minus Equal BracketLeft BracketRight Backslash Semicolon Quote Backquote Comma Period Slash",
  ],
];
for (const [characters, codes] of characterKeys) {
  for (const [place, code] of codes.split(" ").entries()) {
    unshifted.set(characters[2 * place]!, code);
    shifted.set(characters[2 * place + 1]!, code);
  }
}
for (const letter of "abcdefghijklmnopqrstuvwxyz") {
  unshifted.set(letter, `Key${letter.toUpperCase()}`);
  shifted.set(letter.toUpperCase(), `Key${letter.toUpperCase()}`);
}

/** The keys that make a character on a US keyboard, or null if there are none. */
export function keysOfCharacter(character: string): string[] | null {
  const simple = unshifted.get(character);
  if (simple) return [simple];
  const capital = shifted.get(character);
  return capital ? ["ShiftLeft", capital] : null;
}
