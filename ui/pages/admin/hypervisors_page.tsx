export function HypervisorsPage(_: { id?: string }) {
  return null;
}
