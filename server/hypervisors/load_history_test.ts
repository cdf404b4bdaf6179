import assert from "node:assert/strict";
import { startTestDashboard } from "../../tests/support/dashboard.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { FakeAgent } from "../../tests/support/fake_agent.ts";
import { sampleLoad, thinLoad } from "./load_history.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

Deno.test("load is kept by the minute for a day, by the quarter for a month, and then dropped", async () => {
  await using agent = new FakeAgent();
  agent.addDomain({ state: "running" });
  const clock = { now: Date.UTC(2026, 10, 23, 12) };
  await using board = await startTestDashboard({ agents: { hv1: agent }, now: () => clock.now });
  const id = board.hypervisorIds.hv1!;
  await eventually("it is online", () => board.app.agents.status(id).state === "online", { everyMs: 5 });
  const points = async (hours: number) => {
    const admin = await board.as("reader", "admin");
    return (await admin.call("getHypervisorLoad", { id, query: { hours } })).points;
  };
  agent.sendLoad(30);
  await eventually("30 %", () => board.app.agents.status(id).load?.cpuPercent === 30, { everyMs: 5 });
  for (let n = 0; n < 30; n++) {
    clock.now += minuteMs;
    if (n === 15) {
      agent.sendLoad(60);
      await eventually("60 %", () => board.app.agents.status(id).load?.cpuPercent === 60, { everyMs: 5 });
    }
    await sampleLoad(board.app);
  }
  const fine = await points(1);
  assert.equal(fine.length, 30);
  assert.deepEqual([fine[0]?.cpuPercent, fine[29]?.cpuPercent], [30, 60]);
  assert.deepEqual([fine[0]?.running, fine[0]?.memoryUsedMiB], [1, 4096]);
  assert.ok(fine[0]!.freeBytes > 0);

  clock.now += 25 * hourMs;
  await thinLoad(board.app);
  await thinLoad(board.app);
  const coarse = await points(48);
  assert.deepEqual(coarse.map(({ cpuPercent }) => Math.round(cpuPercent)), [30, 58, 60]);
  assert.ok((await points(24 * 31)).length <= 500);

  clock.now += 31 * 24 * hourMs;
  await thinLoad(board.app);
  assert.deepEqual(await points(24 * 31), []);
});

Deno.test("nothing is recorded of a hypervisor that is offline", async () => {
  await using agent = new FakeAgent();
  await using board = await startTestDashboard({
    agents: { hv1: agent },
    agentTimes: { retryDelaysMs: [60_000] },
  });
  const id = board.hypervisorIds.hv1!;
  await eventually("it is online", () => board.app.agents.status(id).state === "online", { everyMs: 5 });
  agent.goOffline();
  await eventually("it is offline", () => board.app.agents.status(id).state === "offline", { everyMs: 5 });
  await sampleLoad(board.app);
  const { points } = await board.admin.call("getHypervisorLoad", { id, query: { hours: 24 } });
  assert.deepEqual(points, []);
});
