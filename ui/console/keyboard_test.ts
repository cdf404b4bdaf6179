import assert from "node:assert/strict";
import { GuestKeyboard } from "./keyboard.ts";

interface Key {
  ctrlKey?: boolean;
  altKey?: boolean;
  shiftKey?: boolean;
  metaKey?: boolean;
  locks?: string[];
  key?: string;
}

const event = (code: string, key: Key = {}) =>
  ({
    ctrlKey: false,
    altKey: false,
    shiftKey: false,
    metaKey: false,
    repeat: false,
    key: code,
    ...key,
    code,
    preventDefault() {},
    getModifierState: (name: string) => key.locks?.includes(name) ?? false,
  }) as unknown as KeyboardEvent;

/** A keyboard whose messages are kept as scan codes, or "locks N". */
function startKeyboard(platform: "mac" | "windows" | "other" = "other") {
  const sent: (number | string)[] = [];
  let menus = 0;
  const keyboard = new GuestKeyboard({
    platform,
    onMenu: () => void menus++,
    send(message) {
      const view = new DataView(message);
      sent.push(
        view.getUint16(0, true) === 103 ? `locks ${view.getUint16(6, true)}` : view.getUint32(6, true),
      );
    },
  });
  /** Waits until all is sent, and ends the keyboard. */
  const settled = async () => {
    await keyboard.type("");
    keyboard.reset();
  };
  return { keyboard, sent, settled, menus: () => menus };
}

Deno.test("GuestKeyboard sends make and break codes in order, paced", async () => {
  const { keyboard, sent, settled } = startKeyboard();
  keyboard.keyDown(event("KeyA"));
  keyboard.keyUp(event("KeyA"));
  keyboard.press(["ControlLeft", "AltLeft", "Delete"]);
  assert.deepEqual(sent, [0x1e]);
  await settled();
  assert.deepEqual(sent, [0x1e, 0x9e, 0x1d, 0x38, 0x53e0, 0xd3e0, 0xb8, 0x9d]);
});

Deno.test("GuestKeyboard.releaseAll() lets go what is held, and a late key-up is not sent twice", async () => {
  const { keyboard, sent, settled } = startKeyboard();
  keyboard.keyDown(event("ShiftLeft"));
  keyboard.releaseAll();
  keyboard.keyUp(event("ShiftLeft"));
  await settled();
  assert.deepEqual(sent, [0x2a, 0xaa]);
});

Deno.test("GuestKeyboard sends AltGr without the Control that Windows adds", async () => {
  const { keyboard, sent, settled } = startKeyboard("windows");
  keyboard.keyDown(event("ControlLeft"));
  keyboard.keyDown(event("AltRight"));
  keyboard.keyDown(event("KeyQ"));
  for (const code of ["KeyQ", "ControlLeft", "AltRight"]) keyboard.keyUp(event(code));
  await settled();
  assert.deepEqual(sent, [0x38e0, 0x10, 0x90, 0xb8e0]);
});

Deno.test("GuestKeyboard sends a real Control on Windows before the key that follows it", async () => {
  const { keyboard, sent, settled } = startKeyboard("windows");
  keyboard.keyDown(event("ControlLeft"));
  keyboard.keyDown(event("KeyC", { ctrlKey: true }));
  keyboard.keyUp(event("KeyC"));
  keyboard.keyUp(event("ControlLeft"));
  await settled();
  assert.deepEqual(sent, [0x1d, 0x2e, 0xae, 0x9d]);
});

Deno.test("GuestKeyboard lets a key go at once while Command is held on macOS", async () => {
  const { keyboard, sent, settled } = startKeyboard("mac");
  keyboard.keyDown(event("MetaLeft", { metaKey: true }));
  keyboard.keyDown(event("KeyC", { metaKey: true }));
  keyboard.keyUp(event("MetaLeft"));
  await settled();
  assert.deepEqual(sent, [0x5be0, 0x2e, 0xae, 0xdbe0]);
});

Deno.test("GuestKeyboard makes the guest's lock keys follow the user's, once after each gain of focus", async () => {
  const { keyboard, sent, settled } = startKeyboard();
  keyboard.setGuestLocks(2);
  keyboard.gainFocus();
  keyboard.keyDown(event("KeyA", { locks: ["CapsLock"] }));
  keyboard.keyDown(event("KeyB"));
  await settled();
  assert.deepEqual(sent, ["locks 4", 0x1e, 0x30]);
});

Deno.test("GuestKeyboard calls the menu for Control, Alt and Shift alone, not for a shortcut with them", () => {
  const { keyboard, menus } = startKeyboard();
  const all = { ctrlKey: true, altKey: true, shiftKey: true };
  keyboard.keyDown(event("ControlLeft", { ctrlKey: true }));
  keyboard.keyDown(event("AltLeft", { ctrlKey: true, altKey: true }));
  keyboard.keyDown(event("ShiftLeft", all));
  keyboard.keyDown(event("KeyT", all));
  keyboard.keyUp(event("KeyT", all));
  assert.equal(menus(), 0);
  keyboard.keyDown(event("ShiftLeft", all));
  keyboard.keyUp(event("ShiftLeft", all));
  assert.equal(menus(), 1);
  keyboard.reset();
});

Deno.test("GuestKeyboard.type() types text and names what has no key", async () => {
  const { keyboard, sent } = startKeyboard();
  assert.equal(await keyboard.type("aB€\n"), "€");
  assert.deepEqual(sent, [0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa, 0x1c, 0x9c]);
  keyboard.reset();
});

Deno.test("GuestKeyboard adds the Shift that an on-screen keyboard leaves out, but not where there is one", async () => {
  const { keyboard, sent, settled } = startKeyboard();
  keyboard.keyDown(event("Digit4", { key: "$" }));
  keyboard.keyUp(event("Digit4", { key: "$" }));
  keyboard.keyDown(event("KeyA", { key: "A", shiftKey: true }));
  keyboard.keyDown(event("Digit1", { key: "&" }));
  await settled();
  assert.deepEqual(sent, [0x2a, 0x05, 0xaa, 0x85, 0x1e, 0x02]);
});
