export function JobsPage(_: { id?: string }) {
  return null;
}
