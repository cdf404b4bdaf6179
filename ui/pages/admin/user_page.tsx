export function UserPage(_: { id?: string }) {
  return null;
}
