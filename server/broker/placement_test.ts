import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Candidate,
  choose,
  conditionOf,
  countMembers,
  explainRefusal,
  type HypervisorCondition,
  type PlacementContext,
} from "./placement.ts";

const host = (overrides: Partial<HypervisorCondition> = {}): HypervisorCondition => ({
  name: "hv1",
  online: true,
  maintenance: false,
  cpuPercent: 10,
  ...overrides,
});
const machine = (machineId: string, overrides: Partial<Candidate> = {}): Candidate => ({
  machineId,
  name: machineId,
  role: "vdi",
  hypervisorId: "hv1",
  state: "shut-off",
  maintenance: false,
  locked: false,
  virtualSnapshot: false,
  populated: true,
  outdated: false,
  used: false,
  lease: null,
  ...overrides,
});
const around = (overrides: Partial<PlacementContext> = {}): PlacementContext => ({
  poolName: "Lab",
  poolEnabled: true,
  own: null,
  hypervisors: new Map([["hv1", host()], ["hv2", host({ name: "hv2", cpuPercent: 80 })]]),
  held: new Map(),
  ...overrides,
});
const leased = { id: "l1", userId: "u2", ready: true };

function chosen(members: Candidate[], context = around()): string | null {
  const choice = choose(members, context);
  return choice.kind === "free" ? choice.machine.machineId : null;
}

Deno.test("choose() gives the user's own machine again, even when the pool is switched off", () => {
  const own = { leaseId: "l1", machineId: "a", machineName: "a" };
  const choice = choose([machine("b", { state: "running" })], around({ own, poolEnabled: false }));
  assert.equal(choice.kind, "own");
  assert.equal(choice.kind === "own" && choice.leaseId, "l1");
});

Deno.test("choose() prefers running and clean machines, then the least loaded hypervisor", () => {
  assert.equal(chosen([machine("off"), machine("on", { state: "running" })]), "on");
  assert.equal(chosen([machine("used", { used: true, state: "running" }), machine("clean")]), "clean");
  assert.equal(chosen([machine("busy", { hypervisorId: "hv2" }), machine("idle")]), "idle");
  assert.equal(chosen([machine("old", { outdated: true }), machine("new")]), "new");
});

Deno.test("choose() takes a machine that failed lately only when there is no other", () => {
  const doubtful = new Set(["a"]);
  assert.equal(chosen([machine("a", { state: "running" }), machine("b")], around({ doubtful })), "b");
  assert.equal(chosen([machine("a")], around({ doubtful })), "a");
});

Deno.test("choose() never takes what cannot be used (defect 11)", () => {
  const hypervisors = new Map([
    ["hv1", host()],
    ["down", host({ online: false })],
    ["drained", host({ maintenance: true })],
  ]);
  const unusable = [
    machine("maintenance", { maintenance: true }),
    machine("locked", { locked: true }),
    machine("leased", { lease: leased }),
    machine("unpopulated", { populated: false }),
    machine("held"),
    machine("crashed", { state: "crashed" }),
    machine("lost", { state: "unknown" }),
    machine("down", { hypervisorId: "down" }),
    machine("drained", { hypervisorId: "drained" }),
    machine("gone", { hypervisorId: "no such" }),
  ];
  const context = around({ hypervisors, held: new Map([["held", "job"]]) });
  assert.equal(chosen(unusable, context), null);
  assert.equal(chosen([...unusable, machine("good")], context), "good");
});

Deno.test("choose() refuses with the reasons counted and what to do", () => {
  const members = [
    machine("a", { lease: leased }),
    machine("b", { lease: leased }),
    machine("c", { lease: leased }),
    machine("d", { maintenance: true }),
  ];
  const choice = choose(members, around());
  assert.deepEqual(choice, {
    kind: "refused",
    counts: { "in use": 3, "in maintenance": 1 },
    explanation: "No free desktop in Lab: 3 in use, 1 in maintenance. " +
      "Try again in a few minutes or ask your administrator.",
  });
});

Deno.test("explainRefusal() does not promise that waiting helps when nothing is in use", () => {
  const lab = { poolName: "Lab", poolEnabled: true };
  assert.equal(
    explainRefusal(lab, { "in maintenance": 2 }),
    "No free desktop in Lab: 2 in maintenance. Ask your administrator.",
  );
  assert.equal(explainRefusal(lab, {}), "Lab has no desktops yet. Ask your administrator.");
  assert.equal(
    explainRefusal({ ...lab, poolEnabled: false }, { "in use": 1 }),
    "Lab is switched off. Ask your administrator.",
  );
});

Deno.test("choose() accepts simple machines without an overlay, and says why it chose", () => {
  const choice = choose([machine("pc", { role: "simple", populated: false })], around());
  assert.equal(
    choice.explanation,
    "pc: the best of 1 free in Lab (off, will be started, clean, on hv1 at 10 % CPU).",
  );
});

const anyMachine = fc.record({
  machineId: fc.uuid(),
  name: fc.constant("m"),
  role: fc.constantFrom("vdi" as const, "simple" as const),
  hypervisorId: fc.constantFrom("hv1", "hv2", "off", "missing"),
  state: fc.constantFrom("running", "shut-off", "paused", "suspended", "crashed", "unknown"),
  maintenance: fc.boolean(),
  locked: fc.boolean(),
  virtualSnapshot: fc.boolean(),
  populated: fc.boolean(),
  outdated: fc.boolean(),
  used: fc.boolean(),
  lease: fc.option(fc.record({ id: fc.uuid(), userId: fc.option(fc.uuid()), ready: fc.boolean() })),
}) as fc.Arbitrary<Candidate>;

Deno.test("choose() and countMembers() agree on what is free, for any pool", () => {
  const context = around({
    hypervisors: new Map([["hv1", host()], ["hv2", host()], ["off", host({ online: false })]]),
  });
  fc.assert(fc.property(fc.array(anyMachine), (members) => {
    const counts = countMembers(members, context);
    const { total, ...parts } = counts;
    assert.equal(Object.values(parts).reduce((sum, count) => sum + count, 0), total);
    const choice = choose(members, context);
    assert.equal(choice.kind, counts.free > 0 ? "free" : "refused");
    if (choice.kind === "free") assert.equal(conditionOf(choice.machine, context), "free");
  }));
});
