export function DesktopPoolsPage(_: { id?: string }) {
  return null;
}
