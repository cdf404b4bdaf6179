import assert from "node:assert/strict";
import { ApiClient } from "../../tests/support/dashboard.ts";
import { DashboardConfig } from "../config.ts";
import { type Dashboard, startDashboard } from "../dashboard.ts";
import { createLogger } from "../../lib/log.ts";

async function withDashboards(work: (start: () => Promise<Dashboard>) => Promise<void>) {
  const dataDir = await Deno.makeTempDir();
  let running: Dashboard | undefined;
  try {
    await work(async () => {
      await running?.close();
      return running = await startDashboard({
        config: DashboardConfig.parse({ dataDir, listen: "127.0.0.1:0", insecureHttp: true }),
        log: createLogger({ mode: "test", level: "silent" }),
        connect: () => {
          throw new Error("no agents in this test");
        },
      });
    });
  } finally {
    await running?.close();
    await Deno.remove(dataDir, { recursive: true });
  }
}

const tokenOf = (dashboard: Dashboard) => new URL(dashboard.setupUrl!).searchParams.get("token")!;
const person = { username: "Ada", password: "correct horse battery" };

Deno.test("the setup link makes the first admin once, signed in", () =>
  withDashboards(async (start) => {
    const dashboard = await start();
    const nobody = new ApiClient(dashboard.url);
    const token = tokenOf(dashboard);
    assert.equal((await nobody.call("getSetup")).required, true);
    const response = await nobody.fetch("/api/setup", {
      method: "POST",
      body: JSON.stringify({ token, ...person, siteName: "Physics lab" }),
    });
    assert.equal(response.status, 201);
    const session = await response.json();
    assert.deepEqual([session.user.role, session.siteName, session.token], [
      "admin",
      "Physics lab",
      undefined,
    ]);
    assert.match(response.headers.get("set-cookie") ?? "", /HttpOnly/);
    assert.equal((await nobody.call("getSetup")).required, false);
    await assert.rejects(nobody.call("setup", { body: { token, ...person, username: "eve" } }), {
      code: "conflict",
    });
    assert.equal((await start()).setupUrl, null);
  }));

Deno.test("a setup token that was guessed, or printed by an earlier start, makes nobody an admin", () =>
  withDashboards(async (start) => {
    const old = tokenOf(await start());
    const dashboard = await start();
    const nobody = new ApiClient(dashboard.url);
    for (const token of [old, "x", tokenOf(dashboard).slice(0, -1)]) {
      await assert.rejects(nobody.call("setup", { body: { token, ...person } }), { code: "forbidden" });
    }
    const [{ count }] = await dashboard.app.db.selectFrom("users")
      .select(({ fn }) => fn.countAll<number>().as("count")).execute() as [{ count: number }];
    assert.equal(count, 0);
  }));

Deno.test("two who use the setup link at the same time: one becomes the admin", () =>
  withDashboards(async (start) => {
    const dashboard = await start();
    const nobody = new ApiClient(dashboard.url);
    const token = tokenOf(dashboard);
    const outcomes = await Promise.allSettled(
      ["ada", "eve"].map((username) => nobody.call("setup", { body: { ...person, username, token } })),
    );
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  }));

Deno.test("the setup token is not in the database", () =>
  withDashboards(async (start) => {
    const dashboard = await start();
    const rows = await dashboard.app.db.selectFrom("settings").selectAll().execute();
    assert(rows.length > 0);
    assert(!JSON.stringify(rows).includes(tokenOf(dashboard)));
  }));

Deno.test("/api/setup tells a page at once whether somebody is signed in", () =>
  withDashboards(async (start) => {
    const dashboard = await start();
    const nobody = new ApiClient(dashboard.url);
    const body = { token: tokenOf(dashboard), ...person };
    await nobody.call("setup", { body });
    assert.equal((await nobody.call("getSetup")).session, undefined);
    const { token } = await nobody.call("signIn", { body: { ...person, kind: "token" } });
    assert.equal((await new ApiClient(dashboard.url, token!).call("getSetup")).session?.user.username, "Ada");
  }));
