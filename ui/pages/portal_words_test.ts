import assert from "node:assert/strict";
import type { Desktop } from "../../contracts/desktop.ts";
import type { MyDesktopPool } from "../../contracts/desktop_pool.ts";
import { cardWords, isDesktopLost, powerQuestion, queueWords, stepsOf } from "./portal_words.ts";

const pool: MyDesktopPool = {
  id: "b7f1d7e6-93b7-4a0e-9a53-1b5f2b5f0001",
  name: "Office",
  description: "",
  availability: "ready",
  reason: null,
  freeCount: 2,
  userPower: true,
  desktopId: null,
};
const desktop: Desktop = {
  id: "b7f1d7e6-93b7-4a0e-9a53-1b5f2b5f0002",
  desktopPoolId: pool.id,
  desktopPoolName: "Office",
  state: "ready",
  stage: "ready",
  machine: { id: "b7f1d7e6-93b7-4a0e-9a53-1b5f2b5f0003", name: "office-1", state: "running" },
  error: null,
  userPower: true,
  volatile: false,
  terminal: null,
  notice: null,
  queued: null,
  startedAt: 0,
  readyAt: 0,
  lastHeartbeatAt: 0,
};

Deno.test("cardWords() tells the state of a pool, and of the user's own desktop before it", () => {
  assert.deepEqual(cardWords(pool, null), { tone: "green", state: "Ready", detail: "2 free" });
  const full = { ...pool, availability: "full" as const, reason: "All 3 desktops are in use." };
  assert.deepEqual(cardWords(full, null), { tone: "grey", state: "Nothing free", detail: full.reason });
  assert.equal(cardWords(full, desktop).state, "Yours");
  assert.equal(
    cardWords(pool, { ...desktop, terminal: "LAB-12" }).detail,
    "office-1, last opened from LAB-12",
  );
  const off = { ...desktop, machine: { ...desktop.machine!, state: "shut-off" as const } };
  assert.equal(cardWords(pool, off).state, "Switched off");
});

Deno.test("a desktop that waits for its start says how many are before it", () => {
  const waiting: Desktop = { ...desktop, state: "preparing", stage: "starting", queued: 2 };
  assert.deepEqual(cardWords(pool, waiting), {
    tone: "blue",
    state: "Waiting for its turn",
    detail: "2 are being started before yours",
  });
  assert.equal(cardWords(pool, { ...waiting, queued: null }).state, "Starting");
  assert.equal(queueWords(0), "Yours is the next to be started");
  assert.equal(queueWords(1), "1 is being started before yours");
});

Deno.test("a desktop whose hypervisor is offline says so instead of that it is running", () => {
  const lost: Desktop = { ...desktop, error: { code: "unavailable", message: "hv-3 is offline." } };
  assert.equal(isDesktopLost(lost), true);
  assert.deepEqual(cardWords(pool, lost), {
    tone: "orange",
    state: "Can't be reached",
    detail: "hv-3 is offline.",
  });
  assert.equal(isDesktopLost({ ...lost, state: "failed" }), false);
});

Deno.test("stepsOf() counts only what is over", () => {
  const { steps, done } = stepsOf({ stage: "booting", state: "preparing" });
  assert.deepEqual(steps.map(({ state }) => state), ["done", "done", "current", "pending"]);
  assert.equal(done, 2);
  assert.equal(stepsOf({ stage: "ready", state: "ready" }).done, 4);
});

Deno.test("powerQuestion() warns of what a volatile desktop loses", () => {
  assert.match(powerQuestion("shutdown", { ...desktop, volatile: true }).body, /will be gone/);
  assert.equal(powerQuestion("shutdown", { ...desktop, volatile: true }).danger, true);
  assert.match(powerQuestion("reboot", desktop).body, /Files that are saved stay/);
  assert.match(powerQuestion("destroy", desktop).body, /unsaved work is lost/);
});
