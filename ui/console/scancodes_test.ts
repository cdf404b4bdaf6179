import assert from "node:assert/strict";
import { keysOfCharacter, spiceScancode } from "./scancodes.ts";

Deno.test("spiceScancode() puts the break bit in the last byte", () => {
  assert.equal(spiceScancode("KeyA", true), 0x1e);
  assert.equal(spiceScancode("KeyA", false), 0x9e);
  assert.equal(spiceScancode("Delete", true), 0x53e0);
  assert.equal(spiceScancode("Delete", false), 0xd3e0);
  assert.equal(spiceScancode("AltRight", true), 0x38e0);
  assert.equal(spiceScancode("BrowserBack", true), undefined);
});

Deno.test("spiceScancode() gives every key of a row its own code", () => {
  const codes = [
    "Digit1",
    "Digit0",
    "KeyQ",
    "KeyP",
    "KeyA",
    "KeyL",
    "KeyZ",
    "KeyM",
    "F1",
    "F10",
    "F11",
    "F12",
  ];
  const expected = [0x02, 0x0b, 0x10, 0x19, 0x1e, 0x26, 0x2c, 0x32, 0x3b, 0x44, 0x57, 0x58];
  assert.deepEqual(codes.map((code) => spiceScancode(code, true)), expected);
});

Deno.test("keysOfCharacter() knows every printable ASCII character and nothing else", () => {
  for (let code = 0x20; code < 0x7f; code++) {
    const character = String.fromCharCode(code);
    assert.ok(keysOfCharacter(character), character);
  }
  assert.deepEqual(keysOfCharacter("A"), ["ShiftLeft", "KeyA"]);
  assert.deepEqual(keysOfCharacter("~"), ["ShiftLeft", "Backquote"]);
  assert.deepEqual(keysOfCharacter("("), ["ShiftLeft", "Digit9"]);
  assert.equal(keysOfCharacter("ä"), null);
});
