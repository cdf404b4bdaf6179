export function AdminPages() {
  return null;
}
