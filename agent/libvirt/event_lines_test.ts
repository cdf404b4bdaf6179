import assert from "node:assert/strict";
import { parseEventLine, parseMonitorLine } from "./event_lines.ts";

const at = "2026-11-22 19:32:21.320+0000:";

Deno.test("parseEventLine() reads lifecycle, graphics and guest agent events", () => {
  assert.deepEqual(parseEventLine(`${at} event 'lifecycle' for domain 'a1': Stopped Shutdown`), {
    type: "lifecycle",
    name: "a1",
    event: "Stopped",
    detail: "Shutdown",
  });
  assert.deepEqual(
    parseEventLine(
      `${at} event 'graphics' for domain 'a1': initialize local[ipv4 127.0.0.1 5900] remote[ipv4 127.0.0.1 40000] spice`,
    ),
    { type: "graphics", name: "a1", phase: "initialize" },
  );
  assert.deepEqual(
    parseEventLine(
      `${at} event 'agent-lifecycle' for domain 'a1': state: 'disconnected' reason: 'domain started'`,
    ),
    { type: "agent-lifecycle", name: "a1", connected: false },
  );
  assert.deepEqual(parseEventLine(`${at} event 'tray-change' for domain 'a1': disk sda: opened`), {
    type: "changed",
    name: "a1",
  });
});

Deno.test("parseEventLine() ignores what is not an event", () => {
  assert.equal(parseEventLine("error: Disconnected from qemu:///system due to end of file"), null);
  assert.equal(parseEventLine(""), null);
  assert.equal(parseEventLine(`${at} event 'rtc-change' for domain 'a1': 0`), null);
});

Deno.test("parseMonitorLine() tells a guest's reset from its shutdown", () => {
  const line = (reason: string) =>
    `${at} event SHUTDOWN for domain 'a1': {"guest":true,"reason":"${reason}"}`;
  assert.deepEqual(parseMonitorLine(line("guest-reset")), {
    type: "shutdown-cause",
    name: "a1",
    cause: "guest-reset",
  });
  assert.deepEqual(parseMonitorLine(line("guest-shutdown")), {
    type: "shutdown-cause",
    name: "a1",
    cause: "guest-shutdown",
  });
  assert.equal(parseMonitorLine(`${at} event STOP for domain 'a1': <null>`), null);
});
