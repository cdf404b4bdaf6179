import assert from "node:assert/strict";
import fc from "fast-check";
import type { AgentChange } from "../agents/connections.ts";
import type { App } from "../app.ts";
import { fits, nothingCommitted, roomFor } from "./capacity.ts";
import { Room } from "./room.ts";

interface FakeDomain {
  id: string;
  state: "running" | "shut-off";
  memoryMiB: number;
  vcpus: number;
}

/** Agents that tell what the test says. */
function fakeAgents() {
  const domains = new Map<string, FakeDomain>();
  let listener: (change: AgentChange) => void = () => {};
  const agents = {
    listen: (given: typeof listener) => {
      listener = given;
      return () => {};
    },
    domains: () => [...domains.values()],
    domain: (id: string) => domains.has(id) ? { domain: domains.get(id)!, load: null } : null,
  } as unknown as App["agents"];
  const tell = (ids: string[], complete = false) =>
    listener({ type: "domains", hypervisorId: "hv", ids, complete });
  return { agents, domains, tell };
}

const size = { memoryMiB: 1024, vcpus: 2 };

Deno.test("Room counts a machine once, whether it is promised, runs, or both", () => {
  const { agents, domains, tell } = fakeAgents();
  const room = new Room(agents);
  room.promise("a", "hv", size, "lease");
  room.promise("a", "hv", size, "start");
  assert.deepEqual(room.taken("hv"), { memoryMiB: 1024, vcpus: 2, running: 1 });
  assert.deepEqual(room.leased("hv"), { memoryMiB: 1024, vcpus: 2, running: 1 });
  domains.set("a", { id: "a", state: "running", ...size });
  tell(["a"]);
  assert.equal(room.taken("hv").running, 1);
  assert.equal(room.running().get("hv")?.running, 1);
  room.release("a", "start");
  room.release("a", "lease");
  assert.equal(room.taken("hv").running, 1);
  assert.deepEqual(room.leased("hv"), nothingCommitted);
  domains.delete("a");
  tell([], true);
  assert.deepEqual(room.taken("hv"), nothingCommitted);
});

Deno.test("Room's sums are right after any sequence of events and promises", () => {
  const id = fc.constantFrom("a", "b", "c");
  const sizes = fc.record({ memoryMiB: fc.constantFrom(512, 1024), vcpus: fc.constantFrom(1, 2) });
  const event = fc.oneof(
    fc.record({
      do: fc.constant("domain" as const),
      id,
      state: fc.constantFrom("running", "shut-off"),
      sizes,
    }),
    fc.record({ do: fc.constant("gone" as const), id }),
    fc.record({ do: fc.constant("promise" as const), id, keeper: fc.constantFrom("lease", "start"), sizes }),
    fc.record({ do: fc.constant("release" as const), id, keeper: fc.constantFrom("lease", "start") }),
    fc.constant({ do: "all" as const }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 40 }), (events) => {
    const { agents, domains, tell } = fakeAgents();
    const room = new Room(agents);
    const promised = new Map<string, { sizes: typeof size; keepers: Set<string> }>();
    for (const one of events) {
      if (one.do === "domain") {
        domains.set(one.id, { id: one.id, state: one.state as "running", ...one.sizes });
        tell([one.id]);
      } else if (one.do === "gone") {
        domains.delete(one.id);
        tell([one.id]);
      } else if (one.do === "promise") {
        room.promise(one.id, "hv", one.sizes, one.keeper as "lease");
        const known = promised.get(one.id) ?? { sizes: one.sizes, keepers: new Set() };
        known.keepers.add(one.keeper);
        promised.set(one.id, known);
      } else if (one.do === "release") {
        room.release(one.id, one.keeper as "lease");
        promised.get(one.id)?.keepers.delete(one.keeper);
        if (promised.get(one.id)?.keepers.size === 0) promised.delete(one.id);
      } else tell([...domains.keys()], true);
    }
    const running = [...domains.values()].filter(({ state }) => state === "running");
    const waiting = [...promised].filter(([id]) => !running.some((domain) => domain.id === id));
    const all = [...running, ...waiting.map(([, { sizes }]) => sizes)];
    assert.equal(room.taken("hv").running, all.length);
    assert.equal(room.taken("hv").memoryMiB, all.reduce((sum, { memoryMiB }) => sum + memoryMiB, 0));
    assert.equal(room.taken("hv").vcpus, all.reduce((sum, { vcpus }) => sum + vcpus, 0));
    assert.equal(
      room.leased("hv").running,
      [...promised.values()].filter(({ keepers }) => keepers.has("lease")).length,
    );
  }));
});

Deno.test("fits() and roomFor() agree, and roomFor() says what is scarce", () => {
  const limits = { memoryOvercommit: 1, cpuOvercommit: 2, maxRunning: 3 };
  const facts = { memoryMiB: 4096, cpus: 4 };
  assert.deepEqual(roomFor(limits, facts, nothingCommitted, size), { machines: 3, scarce: "machines" });
  assert.deepEqual(
    roomFor({ ...limits, maxRunning: null }, facts, nothingCommitted, { memoryMiB: 2048, vcpus: 1 }),
    {
      machines: 2,
      scarce: "memory",
    },
  );
  assert.deepEqual(
    roomFor({ ...limits, maxRunning: null }, facts, nothingCommitted, { memoryMiB: 1, vcpus: 3 }),
    {
      machines: 2,
      scarce: "virtual processors",
    },
  );
  const anything = fc.record({ memoryMiB: fc.nat(5000), vcpus: fc.nat(10), running: fc.nat(4) });
  const machine = fc.record({
    memoryMiB: fc.integer({ min: 1, max: 5000 }),
    vcpus: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(fc.property(anything, machine, (committed, one) => {
    assert.equal(fits(limits, facts, committed, one), roomFor(limits, facts, committed, one).machines > 0);
  }));
});
