export function SessionsPage(_: { id?: string }) {
  return null;
}
