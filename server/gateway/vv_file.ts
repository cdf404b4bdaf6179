import type { Connection } from "../../contracts/desktop.ts";

/**
 * A connection as a file for remote-viewer (virt-viewer's `remote-viewer(1)`, CONNECTION FILE). It is good once, until
 * the ticket expires, and the viewer deletes it.
 * @param proxy host and port where the dashboard takes a viewer's CONNECT, as `vdi.example.org:8444`
 */
export function toVvFile(connection: Connection, proxy: string): string {
  const { direct } = connection;
  const fields = {
    type: connection.protocol,
    host: direct?.host ?? connection.proxyHost,
    port: String(direct?.port ?? connection.proxyPort),
    password: connection.password,
    ...(!direct && { proxy: `http://${proxy}` }),
    title: `${connection.title} (Shift+F12 frees the mouse)`,
    "release-cursor": "shift+f12",
    "toggle-fullscreen": "shift+f11",
    "delete-this-file": "1",
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}=${escapeValue(value)}`);
  return `[virt-viewer]\n${lines.join("\n")}\n`;
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
