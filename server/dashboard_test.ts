import assert from "node:assert/strict";
import { createLogger } from "../lib/log.ts";
import { startTestDashboard } from "../tests/support/dashboard.ts";
import { DashboardConfig } from "./config.ts";
import { startDashboard } from "./dashboard.ts";

const config = (input: object) =>
  DashboardConfig.parse({ listen: "127.0.0.1:0", insecureHttp: true, ...input });
const options = (input: object) => ({
  config: config(input),
  log: createLogger({ mode: "test", level: "silent" as const }),
  connect: () => assert.fail("no agents in this test"),
});

Deno.test("closing the dashboard lets a running request end", async () => {
  const test = await startTestDashboard();
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const { sessions } = test.app;
  const find = sessions.find.bind(sessions);
  sessions.find = async (token) => {
    started.resolve();
    await finish.promise;
    return await find(token);
  };
  const request = test.admin.call("getSession");
  await started.promise;
  const closing = test[Symbol.asyncDispose]();
  finish.resolve();
  assert.equal((await request).user.username, "admin");
  await closing;
});

Deno.test("two dashboards cannot use one data directory", async () => {
  await using test = await startTestDashboard();
  await assert.rejects(startDashboard(options({ dataDir: test.dataDir })), {
    code: "unavailable",
    message: /Another dashboard uses/,
  });
});

Deno.test("a port in use is said, and nothing stays open", async () => {
  await using test = await startTestDashboard();
  const dataDir = await Deno.makeTempDir();
  const listen = `127.0.0.1:${new URL(test.url).port}`;
  for (let i = 0; i < 2; i++) {
    await assert.rejects(startDashboard(options({ dataDir, listen })), {
      code: "unavailable",
      message: /something else listens there/,
    });
  }
  await Deno.remove(dataDir, { recursive: true });
});

Deno.test("users and sessions outlive a restart", async () => {
  const dataDir = await Deno.makeTempDir();
  const test = await startTestDashboard({ dataDir });
  const bob = await test.as("bob");
  const again = await test.restart();
  const { app } = again;
  assert.equal((await app.sessions.find(bob.token!))?.user.username, "bob");
  await again[Symbol.asyncDispose]();
  await Deno.remove(dataDir, { recursive: true });
});

Deno.test("DashboardConfig reads addresses and refuses what makes no sense", () => {
  assert.deepEqual(config({ listen: ":8443" }).listen, { host: "0.0.0.0", port: 8443 });
  assert.deepEqual(config({ listen: "[::1]:80" }).listen, { host: "::1", port: 80 });
  assert.equal(config({ publicUrl: "https://vdi.example.org/" }).publicUrl, "https://vdi.example.org");
  const refused = [
    { listen: "8443" },
    { listen: "host:99999" },
    { publicUrl: "ftp://x" },
    { publicUrl: "https://x/path" },
    { certificateFile: "/a.pem" },
    { dataDir: "relative" },
    { user: "a b" },
  ];
  for (const input of refused) assert.throws(() => config(input), JSON.stringify(input));
});
