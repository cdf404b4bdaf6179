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
import { reasonsOf } from "./reasons.ts";
import { defaultCapacity } from "../../contracts/hypervisor.ts";
import { type Committed, nothingCommitted } from "../hypervisors/capacity.ts";

const host = (overrides: Partial<HypervisorCondition> = {}): HypervisorCondition => ({
  name: "hv1",
  online: true,
  maintenance: false,
  cpuPercent: 10,
  capacity: defaultCapacity,
  facts: { memoryMiB: 65_536, cpus: 8 },
  taken: nothingCommitted,
  leased: nothingCommitted,
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
  memoryMiB: 2048,
  vcpus: 2,
  keptFor: null,
  lease: null,
  ...overrides,
});
const around = (overrides: Partial<PlacementContext> = {}): PlacementContext => ({
  poolName: "Lab",
  poolEnabled: true,
  userId: "u1",
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
  const lab = { poolName: "Lab", poolEnabled: true, hypervisors: new Map() };
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
    "pc: the best of 1 free in Lab (off, will be started, clean, on hv1 at 10 % CPU with 0 desktops in use).",
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
  memoryMiB: fc.constantFrom(1024, 4096),
  vcpus: fc.integer({ min: 1, max: 4 }),
  keptFor: fc.option(fc.record({ userId: fc.constantFrom("u1", "u2", null) }), { freq: 4 }),
  lease: fc.option(fc.record({ id: fc.uuid(), userId: fc.option(fc.uuid()), ready: fc.boolean() })),
}) as fc.Arbitrary<Candidate>;

Deno.test("choose() and countMembers() agree on what is free, for any pool", () => {
  const context = around({
    userId: null,
    hypervisors: new Map([["hv1", host()], ["hv2", host()], ["off", host({ online: false })]]),
  });
  fc.assert(fc.property(fc.array(anyMachine), (members) => {
    const counts = countMembers(members, context);
    const { total, spares, ...parts } = counts;
    assert.ok(spares <= counts.free);
    assert.equal(Object.values(parts).reduce((sum, count) => sum + count, 0), total);
    const choice = choose(members, context);
    assert.equal(choice.kind, counts.free > 0 ? "free" : "refused");
    if (choice.kind === "free") assert.equal(conditionOf(choice.machine, context), "free");
  }));
});

Deno.test("choose() passes over a hypervisor without room, but not its machines that run", () => {
  const full = (overrides: Partial<HypervisorCondition>) =>
    around({ hypervisors: new Map([["hv1", host(overrides)], ["hv2", host({ name: "hv2" })]]) });
  const members = [machine("a"), machine("b", { hypervisorId: "hv2" })];
  const memory = full({ taken: { memoryMiB: 65_536 - 2047, vcpus: 0, running: 3 } });
  assert.equal(chosen(members, memory), "b");
  const vcpus = full({ taken: { memoryMiB: 0, vcpus: 63, running: 3 } });
  assert.equal(chosen(members, vcpus), "b");
  const most = full({
    capacity: { ...defaultCapacity, maxRunning: 3 },
    taken: { memoryMiB: 0, vcpus: 0, running: 3 },
  });
  assert.equal(chosen(members, most), "b");
  assert.equal(chosen([machine("on", { state: "running" })], most), "on");
  assert.equal(countMembers(members, most).full, 1);
  assert.equal(
    choose([machine("a")], most).explanation,
    "No free desktop in Lab: 1 on a hypervisor that is full (hv1). Try again in a few minutes or ask your administrator.",
  );
});

Deno.test("choose() gives a kept machine first, and to nobody else", () => {
  const kept = machine("kept", { keptFor: { userId: "u1" }, used: true, outdated: true });
  const fresh = machine("fresh", { state: "running" });
  assert.equal(chosen([fresh, kept]), "kept");
  assert.equal(chosen([fresh, kept], around({ userId: "u2" })), "fresh");
  assert.equal(chosen([kept], around({ userId: "u2" })), null);
  assert.equal(chosen([machine("orphan", { keptFor: { userId: null } })]), null);
  assert.equal(countMembers([kept], around()).inUse, 1);
});

Deno.test("choose() prefers the hypervisor of the user's data disk to everything but a kept machine", () => {
  const away = machine("away", { state: "running" });
  const beside = machine("beside", { hypervisorId: "hv2", used: true, outdated: true });
  assert.equal(chosen([away, beside], around({ dataHypervisorId: "hv2" })), "beside");
  assert.equal(chosen([away], around({ dataHypervisorId: "hv2" })), "away");
});

Deno.test("reasonsOf() has the chosen machine first, one of each hypervisor next, and says why not the others", () => {
  const members = [
    machine("a1", { lease: leased }),
    machine("a2"),
    machine("b1", { hypervisorId: "hv2" }),
    machine("b2", { hypervisorId: "hv2", maintenance: true }),
    machine("a3", { state: "running" }),
  ];
  const context = around();
  const reasons = reasonsOf(members, choose(members, context), context, 4);
  assert.deepEqual(reasons.map(({ machineName }) => machineName), ["a3", "a1", "b1", "a2"]);
  assert.deepEqual(reasons.map(({ verdict }) => verdict), [
    "chosen: running, clean, on hv1 at 10 % CPU with 0 desktops in use",
    "in use",
    "free, not as good: off, will be started, clean, on hv2 at 80 % CPU with 0 desktops in use",
    "free, not as good: off, will be started, clean, on hv1 at 10 % CPU with 0 desktops in use",
  ]);
  const full = around({
    hypervisors: new Map([["hv1", host({ taken: { memoryMiB: 64_000, vcpus: 0, running: 30 } })]]),
  });
  const [reason] = reasonsOf([machine("a")], choose([machine("a")], full), full);
  assert.equal(
    reason?.verdict,
    "on a hypervisor that is full: its machines have 64000 of 65536 MiB, this one needs 2048",
  );
});

const anyHost = fc.record({
  name: fc.constant("hv"),
  online: fc.boolean(),
  maintenance: fc.boolean(),
  cpuPercent: fc.integer({ min: 0, max: 100 }),
  capacity: fc.record({
    memoryOvercommit: fc.constantFrom(0.5, 1, 2),
    cpuOvercommit: fc.constantFrom(1, 8),
    maxRunning: fc.option(fc.integer({ min: 0, max: 30 })),
    maxStarting: fc.constant(4),
    startCpuPercent: fc.constant(90),
  }),
  facts: fc.option(fc.record({ memoryMiB: fc.constantFrom(8192, 65_536), cpus: fc.constantFrom(2, 16) })),
  taken: fc.record({ memoryMiB: fc.nat(70_000), vcpus: fc.nat(80), running: fc.nat(40) }),
  leased: fc.record({ memoryMiB: fc.nat(40_000), vcpus: fc.nat(40), running: fc.nat(20) }),
});
const anyContext = fc.record({ hv1: anyHost, hv2: anyHost }).map(({ hv1, hv2 }) =>
  around({ hypervisors: new Map([["hv1", hv1], ["hv2", hv2], ["off", host({ online: false })]]) })
);

/** Written without a look at the code: what nobody must ever be given. */
function isEligible(one: Candidate, { hypervisors, userId }: PlacementContext): boolean {
  const hypervisor = hypervisors.get(one.hypervisorId);
  if (!hypervisor || !hypervisor.online || hypervisor.maintenance) return false;
  if (one.lease || one.maintenance || one.locked || (one.role === "vdi" && !one.populated)) return false;
  if (one.keptFor && one.keptFor.userId !== userId) return false;
  if (one.state === "crashed" || one.state === "unknown") return false;
  if (one.state !== "shut-off") return true;
  const { capacity, facts, taken } = hypervisor;
  if (capacity.maxRunning !== null && taken.running + 1 > capacity.maxRunning) return false;
  return !facts || taken.memoryMiB + one.memoryMiB <= facts.memoryMiB * capacity.memoryOvercommit &&
      taken.vcpus + one.vcpus <= facts.cpus * capacity.cpuOvercommit;
}

Deno.test("choose() picks an eligible machine if there is one, never another, and always the same", () => {
  fc.assert(fc.property(fc.array(anyMachine, { maxLength: 30 }), anyContext, (members, context) => {
    const choice = choose(members, context);
    assert.equal(choice.kind, members.some((one) => isEligible(one, context)) ? "free" : "refused");
    if (choice.kind === "free") assert.ok(isEligible(choice.machine, context));
    assert.deepEqual(choose(members, context), choice);
    assert.equal(reasonsOf(members, choice, context).length, Math.min(20, members.length));
  }));
});

/** Gives one machine after the other; what is given takes room. */
function giveAll(count: number, members: Candidate[], names: string[], state: "running" | "shut-off") {
  const sums = new Map(
    names.map((name) => [name, { taken: { ...nothingCommitted }, leased: { ...nothingCommitted } }]),
  );
  const context = around({
    hypervisors: new Map(names.map((name) => [name, host({ name, ...sums.get(name)! })])),
  });
  const given = new Map(names.map((name) => [name, 0]));
  const free = new Map(members.map((one) => [one.machineId, { ...one, state }]));
  for (let n = 0; n < count; n++) {
    const choice = choose(free.values(), context);
    if (choice.kind !== "free") break;
    const { machineId, hypervisorId } = choice.machine;
    free.delete(machineId);
    given.set(hypervisorId, given.get(hypervisorId)! + 1);
    for (const sum of Object.values(sums.get(hypervisorId)!) as Committed[]) {
      sum.memoryMiB += choice.machine.memoryMiB;
      sum.vcpus += choice.machine.vcpus;
      sum.running++;
    }
  }
  return given;
}

Deno.test("choose() spreads users evenly over equal hypervisors, whether machines run or not", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 0, max: 60 }),
    fc.constantFrom("running" as const, "shut-off" as const),
    fc.nat(),
    (hosts, count, state, seed) => {
      const names = Array.from({ length: hosts }, (_, n) => `hv${n}`);
      const members = names.flatMap((name) =>
        Array.from(
          { length: 12 },
          (_, n) => machine(`${name}-${(n * 7 + seed) % 12}`, { hypervisorId: name }),
        )
      );
      const given = [...giveAll(count, members, names, state).values()];
      assert.equal(given.reduce((sum, one) => sum + one, 0), Math.min(count, 12 * hosts));
      assert.ok(Math.max(...given) - Math.min(...given) <= 1, `unbalanced: ${given}`);
    },
  ));
});

Deno.test("choose() never moves to a hypervisor because that got busier", () => {
  const busier = fc.record({ cpu: fc.nat(100), taken: fc.nat(50_000), leased: fc.nat(50_000) });
  fc.assert(
    fc.property(fc.array(anyMachine, { maxLength: 20 }), anyContext, busier, (members, context, more) => {
      const before = choose(members, context);
      const hv2 = context.hypervisors.get("hv2")!;
      const loaded = {
        ...hv2,
        cpuPercent: hv2.cpuPercent + more.cpu,
        taken: { ...hv2.taken, memoryMiB: hv2.taken.memoryMiB + more.taken },
        leased: { ...hv2.leased, memoryMiB: hv2.leased.memoryMiB + more.leased },
      };
      const after = choose(members, {
        ...context,
        hypervisors: new Map([...context.hypervisors, ["hv2", loaded]]),
      });
      if (before.kind !== "free" || before.machine.hypervisorId === "hv2") return;
      assert.equal(after.kind === "free" && after.machine.machineId, before.machine.machineId);
    }),
  );
});
