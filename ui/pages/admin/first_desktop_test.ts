import assert from "node:assert/strict";
import { firstDesktopSteps, isFirstDesktopDone } from "./first_desktop.ts";

const counts = (
  patch: {
    source?: number;
    initial?: number;
    vdi?: number;
    pools?: number;
    users?: number;
    entitled?: number;
  },
) => ({
  machines: {
    total: 0,
    running: 0,
    byRole: { simple: 0, source: patch.source ?? 0, initial: patch.initial ?? 0, vdi: patch.vdi ?? 0 },
  },
  desktopPoolCount: patch.pools ?? 0,
  userCount: patch.users ?? 0,
  entitlementCount: patch.entitled ?? 0,
});
const states = (patch: Parameters<typeof counts>[0]) =>
  firstDesktopSteps(counts(patch)).map((step) => step.state);

Deno.test("firstDesktopSteps() begins with the source", () => {
  assert.deepEqual(states({}), ["next", "later", "later", "later", "later"]);
});

Deno.test("firstDesktopSteps() goes on with the first step that is not done", () => {
  assert.deepEqual(states({ source: 1 }), ["done", "next", "later", "later", "later"]);
  assert.deepEqual(states({ source: 1, initial: 1, pools: 1 }), ["done", "done", "next", "done", "later"]);
});

Deno.test("firstDesktopSteps() wants an entitled user, not just a user", () => {
  const almost = { source: 1, initial: 1, vdi: 3, pools: 1, users: 1 };
  assert.equal(isFirstDesktopDone(counts(almost)), false);
  assert.equal(isFirstDesktopDone(counts({ ...almost, entitled: 1 })), true);
});
