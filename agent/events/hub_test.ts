import assert from "node:assert/strict";
import { readLines } from "../../lib/process.ts";
import type { AgentEvent } from "../../contracts/agent.ts";
import { EventHub } from "./hub.ts";

const beat = (at: number): AgentEvent => ({ type: "heartbeat", at });

async function take(lines: AsyncIterator<string>, count: number): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < count) {
    const { value, done } = await lines.next();
    if (done) break;
    taken.push((JSON.parse(value) as { at: number }).at);
  }
  return taken;
}

Deno.test("open() begins with the snapshot, then gives every event once and in order", async () => {
  const hub = new EventHub();
  const lines = readLines(hub.open(() => beat(0)).body);
  const reading = take(lines, 6);
  for (const at of [1, 2, 3]) hub.emit(beat(at));
  await new Promise((resolve) => setTimeout(resolve));
  for (const at of [4, 5]) hub.emit(beat(at));
  assert.deepEqual(await reading, [0, 1, 2, 3, 4, 5]);
  hub.emit(beat(6));
  hub.close();
  assert.deepEqual(await take(lines, 9), [6]);
});

Deno.test("emit() cuts off a reader that falls far behind, and no other", async () => {
  const hub = new EventHub();
  const slow = readLines(hub.open(() => beat(0)).body);
  const quick = readLines(hub.open(() => beat(0)).body);
  const count = 50_000;
  const reading = take(quick, count + 1);
  for (let at = 1; at <= count; at++) {
    hub.emit(beat(at));
    if (at % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  assert.equal((await reading).at(-1), count);
  assert.ok((await take(slow, count + 1)).length < count, "the slow reader's stream has ended");
  hub.close();
});

Deno.test("heartbeat() is sent only when nothing else was", async () => {
  const hub = new EventHub();
  const lines = readLines(hub.open(() => beat(0)).body);
  hub.heartbeat(0);
  hub.heartbeat(60_000);
  hub.close();
  assert.equal((await take(lines, 3)).length, 2);
});
