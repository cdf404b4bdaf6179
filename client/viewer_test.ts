import assert from "node:assert/strict";
import type { Connection } from "../contracts/desktop.ts";
import { toVvFile, viewerArgv } from "./viewer.ts";

const connection: Connection = {
  protocol: "spice",
  machineId: "6b4a2bd1-4b5c-4ff1-9f0a-2f4a2f3f9f10",
  machineName: "lab-1",
  title: "Lab\nproxy=http://evil",
  webSocketPath: "/gateway/console/ticket",
  proxyHost: "ticket",
  proxyPort: 5900,
  password: "back\\slash",
  expiresAt: 0,
};

Deno.test("toVvFile() leads the viewer to the tunnel and lets no value make a line of its own", () => {
  const lines = toVvFile(connection, 1234).split("\n");
  assert.equal(lines[0], "[virt-viewer]");
  assert.ok(lines.includes("proxy=http://127.0.0.1:1234"));
  assert.ok(lines.includes("host=ticket"));
  assert.ok(lines.includes("password=back\\\\slash"));
  assert.ok(lines.includes("title=Labproxy=http://evil"));
});

Deno.test("viewerArgv() never holds a secret: the connection comes on standard input", () => {
  assert.deepEqual(viewerArgv("remote-viewer", false), ["remote-viewer", "--full-screen", "-"]);
  assert.deepEqual(viewerArgv("remote-viewer", true), [
    "remote-viewer",
    "--kiosk",
    "--kiosk-quit=on-disconnect",
    "-",
  ]);
});
