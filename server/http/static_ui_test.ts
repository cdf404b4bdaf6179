import assert from "node:assert/strict";
import { startTestDashboard } from "../../tests/support/dashboard.ts";

const readOnlyPaths = [
  "/../deno.json",
  "/..%2fdeno.json",
  "/assets/../../deno.json",
  "/%2e%2e/%2e%2e/etc/passwd.txt",
];

Deno.test("the UI's files do not lead out of their folder", async () => {
  await using test = await startTestDashboard();
  for (const path of readOnlyPaths) {
    const response = await test.anonymous.fetch(path);
    assert.doesNotMatch(await response.text(), /"imports"|root:/, path);
  }
});

Deno.test("a file that the UI does not have is a 404, and no page", async () => {
  await using test = await startTestDashboard();
  const response = await test.anonymous.fetch("/assets/no-such-file.js");
  assert([404, 503].includes(response.status));
  assert.match(response.headers.get("content-type") ?? "", /json/);
  await response.body?.cancel();
});
