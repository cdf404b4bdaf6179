export function DesktopPoolPage(_: { id?: string }) {
  return null;
}
