import assert from "node:assert/strict";
import { makeMachine } from "../../tests/support/ui_world_parts.ts";
import { MachineNews } from "./machine_news.ts";

Deno.test("isNews() tells a machine once, and again when it moved", () => {
  const news = new MachineNews();
  const machine = makeMachine(1, { state: "running" });
  assert.equal(news.isNews(machine), true);
  assert.equal(news.isNews({ ...machine, cpuPercent: 99, memoryUsedMiB: 5 }), false);
  assert.equal(news.isNews({ ...machine, state: "crashed" }), true);
  assert.equal(news.isNews({ ...machine, state: "crashed" }), false);
});
