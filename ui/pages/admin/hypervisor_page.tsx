export function HypervisorPage(_: { id?: string }) {
  return null;
}
