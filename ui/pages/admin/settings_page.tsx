export function SettingsPage(_: { id?: string }) {
  return null;
}
