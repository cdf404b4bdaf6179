import assert from "node:assert/strict";
import type { Connection } from "../../contracts/desktop.ts";
import { toVvFile } from "./vv_file.ts";

const connection: Connection = {
  protocol: "spice",
  machineId: "5f0c5ad5-3c5b-4a39-8a0c-0f0f0f0f0f0f",
  machineName: "lab-1",
  title: "lab-1",
  webSocketPath: "/gateway/console/abc",
  proxyHost: "abc",
  proxyPort: 5900,
  password: "secret",
  expiresAt: 0,
};

Deno.test("toVvFile() names the ticket as host and the dashboard as proxy, never the hypervisor", () => {
  const lines = toVvFile(connection, "vdi.example.org:8444").split("\n");
  assert.equal(lines[0], "[virt-viewer]");
  for (const line of ["type=spice", "host=abc", "port=5900", "password=secret", "delete-this-file=1"]) {
    assert.ok(lines.includes(line), line);
  }
  assert.ok(lines.includes("proxy=http://vdi.example.org:8444"));
});

Deno.test("toVvFile() names the hypervisor, without a proxy, where displays may be reached directly", () => {
  const direct = { host: "hv1.example.org", port: 5907 };
  const lines = toVvFile({ ...connection, direct }, "vdi.example.org:8444").split("\n");
  for (const line of ["host=hv1.example.org", "port=5907", "password=secret"]) {
    assert.ok(lines.includes(line), line);
  }
  assert.ok(!lines.some((line) => line.startsWith("proxy=")));
});

Deno.test("toVvFile() keeps a title from adding lines of its own", () => {
  const text = toVvFile(
    { ...connection, title: "a\nproxy=http://evil:1\r\\x\u0000" },
    "vdi.example.org:8444",
  );
  assert.equal(text.split("\n").filter((line) => line.startsWith("proxy=")).length, 1);
  assert.match(text, /^title=a\\nproxy=http:\/\/evil:1\\r\\\\x \(/m);
});
