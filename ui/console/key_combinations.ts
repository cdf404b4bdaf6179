/** Keys that the browser or the system keeps for itself, by `KeyboardEvent.code`. */
export const keyCombinations: { title: string; codes: readonly string[] }[] = [
  { title: "Ctrl+Alt+Del", codes: ["ControlLeft", "AltLeft", "Delete"] },
  { title: "Ctrl+Alt+Backspace", codes: ["ControlLeft", "AltLeft", "Backspace"] },
  { title: "Ctrl+Shift+Esc", codes: ["ControlLeft", "ShiftLeft", "Escape"] },
  { title: "Alt+Tab", codes: ["AltLeft", "Tab"] },
  { title: "Alt+F4", codes: ["AltLeft", "F4"] },
  { title: "Super", codes: ["MetaLeft"] },
  { title: "Super+L", codes: ["MetaLeft", "KeyL"] },
  { title: "Print Screen", codes: ["PrintScreen"] },
  ...Array.from({ length: 12 }, (_, i) => ({
    title: `Ctrl+Alt+F${i + 1}`,
    codes: ["ControlLeft", "AltLeft", `F${i + 1}`],
  })),
];
