export function ConsolePage(_: { kind: "machine" | "desktop"; id: string }) {
  return null;
}
