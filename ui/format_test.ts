import assert from "node:assert/strict";
import * as format from "./format.ts";

Deno.test("formatBytes() uses binary units and no needless digits", () => {
  assert.equal(format.formatBytes(0), "0 B");
  assert.equal(format.formatBytes(1023), "1023 B");
  assert.equal(format.formatBytes(1536), "1.5 KiB");
  assert.equal(format.formatBytes(40 * 1024 ** 3), "40 GiB");
  assert.equal(format.formatBytes(123.4 * 1024 ** 2), "123 MiB");
  assert.equal(format.formatBytes(null), "–");
  assert.equal(format.formatMiB(512 * 1024), "512 GiB");
});

Deno.test("percentOf() stays between 0 and 100 and is 0 while the total is unknown", () => {
  assert.equal(format.percentOf(5, 0), 0);
  assert.equal(format.percentOf(1, 3), 33);
  assert.equal(format.percentOf(5, 4), 100);
});

Deno.test("formatDuration() names the two largest units", () => {
  assert.equal(format.formatDuration(900), "1 s");
  assert.equal(format.formatDuration(75_000), "1 min 15 s");
  assert.equal(format.formatDuration(3_600_000), "1 h");
  assert.equal(format.formatDuration(27 * 3_600_000), "1 d 3 h");
});

Deno.test("formatRelative() speaks of past and future", () => {
  const now = 1_700_000_000_000;
  assert.equal(format.formatRelative(now - 10_000, now), "just now");
  assert.equal(format.formatRelative(now - 180_000, now), "3 minutes ago");
  assert.equal(format.formatRelative(now + 7_200_000, now), "in 2 hours");
  assert.equal(format.formatRelative(now - 24 * 3_600_000, now), "yesterday");
  assert.equal(format.formatRelative(now - 800 * 86_400_000, now), "2 years ago");
});

Deno.test("previewNames() counts, pads, and stops where it is told", () => {
  assert.deepEqual(format.previewNames("lab-{n}", 3), ["lab-1", "lab-2", "lab-3"]);
  assert.deepEqual(format.previewNames("lab-{nn}", 12, 2), ["lab-01", "lab-02"]);
  assert.deepEqual(format.previewNames("dns", 1), ["dns"]);
  assert.equal(format.nameAt("pc{nnn}", 1234), "pc1234");
});

Deno.test("formatPace() tells rate and time left once something was done", () => {
  const half = { done: 512 * 1024 ** 2, total: 1024 ** 3, unit: "bytes" as const, startedAt: 0 };
  assert.equal(format.formatPace(half, 4000), "128 MiB/s, 4 s left");
  assert.equal(format.formatPace({ ...half, done: 0 }, 4000), "");
  assert.equal(format.formatPace({ ...half, startedAt: null }, 4000), "");
  assert.equal(
    format.formatPace({ done: 30, total: 30, unit: "items", startedAt: 0 }, 3000),
    "10.0 per second",
  );
});

Deno.test("formatClock() leaves the day out when it is today", () => {
  const at = new Date(2026, 10, 22, 14, 5).getTime();
  assert.equal(format.formatClock(at, at - 3_600_000), "14:05");
  assert.equal(format.formatClock(at, at - 86_400_000), "22 Nov, 14:05");
});

Deno.test("formatCountdown() counts whole seconds and ends at zero", () => {
  assert.equal(format.formatCountdown(245_000), "4:05");
  assert.equal(format.formatCountdown(1), "0:01");
  assert.equal(format.formatCountdown(3_609_000), "1:00:09");
  assert.equal(format.formatCountdown(-5), "0:00");
});
