import assert from "node:assert/strict";
import { createLogger, formatForPeople } from "./log.ts";

function loggerIntoList() {
  const lines: string[] = [];
  const log = createLogger({ mode: "test", destination: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

Deno.test("createLogger() writes one JSON object a line with mode, level and time", () => {
  const { log, lines } = loggerIntoList();
  log.info({ machineId: "m1" }, "machine started");
  const entry = JSON.parse(lines[0] ?? "");
  assert.equal(entry.msg, "machine started");
  assert.deepEqual([entry.mode, entry.level, entry.machineId], ["test", "info", "m1"]);
  assert.match(entry.time, /^\d{4}-\d\d-\d\dT/);
});

Deno.test("createLogger() never writes secrets, at any depth, in fields or child bindings", () => {
  const { log, lines } = loggerIntoList();
  log.child({ sessionToken: "hunter1" }).info(
    { body: { username: "anna", password: "hunter2", list: [{ ticket: "hunter3" }] }, setupToken: "hunter4" },
    "request",
  );
  assert.doesNotMatch(lines[0] ?? "", /hunter/);
  assert.match(lines[0] ?? "", /anna/);
});

Deno.test("createLogger() writes an error with its message and stack", () => {
  const { log, lines } = loggerIntoList();
  log.error({ err: new Error("disk full") }, "copy failed");
  assert.match(JSON.parse(lines[0] ?? "").err.stack, /disk full/);
});

Deno.test("formatForPeople() shows time, level, message and fields on one line", () => {
  const line = JSON.stringify({
    level: "info",
    time: "2026-01-02T03:04:05.678Z",
    mode: "agent",
    n: 1,
    msg: "hello",
  });
  assert.equal(formatForPeople(line), "03:04:05 INFO  hello  n=1\n");
});
