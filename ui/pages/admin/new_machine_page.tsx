export function NewMachinePage(_: { id?: string }) {
  return null;
}
