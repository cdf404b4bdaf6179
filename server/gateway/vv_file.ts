import type { Connection } from "../../contracts/desktop.ts";

/**
 * A connection as a file for remote-viewer (virt-viewer's `remote-viewer(1)`, CONNECTION FILE). It is good once, until
 * the ticket expires, and the viewer deletes it.
 * @param origin where the user's browser reaches the dashboard, as `https://vdi.example.org:8443`
 */
export function toVvFile(connection: Connection, origin: string): string {
  const { host } = new URL(origin);
  const fields = {
    type: connection.protocol,
    host: connection.proxyHost,
    port: String(connection.proxyPort),
    password: connection.password,
    // Plain on purpose: see one_port.ts.
    proxy: `http://${withPort(host, origin)}`,
    title: `${connection.title} (Shift+F12 frees the mouse)`,
    "release-cursor": "shift+f12",
    "toggle-fullscreen": "shift+f11",
    "delete-this-file": "1",
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}=${escapeValue(value)}`);
  return `[virt-viewer]\n${lines.join("\n")}\n`;
}

function withPort(host: string, origin: string): string {
  if (/:\d+$/.test(host)) return host;
  return `${host}:${origin.startsWith("https:") ? 443 : 80}`;
}

/** GKeyFile's escapes (GLib, "Key-value file parser"); what it cannot hold is dropped. */
function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(
    "\t",
    "\\t",
  )
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u001f\u007f]/g, "").replace(/^ /, "\\s");
}
