export function UsersPage(_: { id?: string }) {
  return null;
}
