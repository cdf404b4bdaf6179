import { api } from "../../contracts/api.ts";
import { fetchText, urlOf } from "../api.ts";

export type ConsoleKind = "machine" | "desktop";

/** Downloads a one-time connection file that remote-viewer opens. */
export async function openInViewer(kind: ConsoleKind, id: string, name: string): Promise<void> {
  const endpoint = kind === "machine" ? api.openConsole : api.connectMyDesktop;
  const url = urlOf(endpoint.path, { id }, { format: "vv" });
  const text = await fetchText(endpoint.method === "POST" ? "POST" : "GET", url);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-virt-viewer" }));
  link.download = `${name.replace(/[^A-Za-z0-9._-]+/g, "-") || "desktop"}.vv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
