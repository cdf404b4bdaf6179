export function MachinePage(_: { id?: string }) {
  return null;
}
