import assert from "node:assert/strict";
import { type ChecklistFacts, checklistOf } from "./checklist.ts";

const fresh: ChecklistFacts = {
  source: { name: "win-src", state: "shut-off", hasDisk: true },
  initialRuns: false,
  newest: null,
  job: null,
  clones: { total: 0, onNewest: 0, withSnapshot: 0, inMaintenance: 0 },
};
const draft = { number: 1, state: "draft" as const, booted: false, current: true };
const sealed = { ...draft, state: "sealed" as const };
const states = (facts: Partial<ChecklistFacts>) =>
  Object.fromEntries(checklistOf({ ...fresh, ...facts }).map(({ step, state }) => [step, state]));
const next = (facts: Partial<ChecklistFacts>) =>
  checklistOf({ ...fresh, ...facts }).find(({ state }) => state === "next")?.step;

Deno.test("checklistOf() leads from a source to desktops, one step after the other", () => {
  assert.equal(next({ source: { name: "win-src", state: "shut-off", hasDisk: false } }), "source-ready");
  assert.equal(next({}), "copied");
  assert.equal(next({ newest: draft }), "sealed", "customising is optional");
  assert.equal(next({ newest: { ...sealed, current: false } }), "published");
  assert.equal(next({ newest: sealed }), "populated");
  const clones = { total: 4, onNewest: 4, withSnapshot: 0, inMaintenance: 4 };
  assert.equal(next({ newest: sealed, clones }), "maintenance-off", "virtual snapshots are optional");
  assert.equal(next({ newest: sealed, clones: { ...clones, inMaintenance: 0 } }), undefined);
});

Deno.test("checklistOf() says what is in the way", () => {
  const source = { name: "win-src", state: "running", hasDisk: true };
  assert.equal(states({ source })["source-ready"], "blocked");
  assert.equal(states({ source, newest: sealed })["source-ready"], "optional", "it is being updated");
  const runs = states({ newest: draft, initialRuns: true });
  assert.deepEqual([runs.customised, runs.sealed], ["running", "blocked"]);
});

Deno.test("checklistOf() shows what is being done", () => {
  assert.equal(states({ newest: { ...draft, state: "copying" } }).copied, "running");
  assert.equal(states({ newest: draft, job: "seal" }).sealed, "running");
  assert.equal(states({ newest: sealed, job: "publish" }).published, "running");
  const clones = { total: 4, onNewest: 1, withSnapshot: 4, inMaintenance: 0 };
  const rolling = states({ newest: sealed, clones });
  assert.deepEqual([rolling.populated, rolling["snapshots-on"]], ["running", "done"]);
});

Deno.test("checklistOf() counts an imported image as one without a source", () => {
  assert.equal(states({ source: null, newest: draft })["source-ready"], "done");
});
