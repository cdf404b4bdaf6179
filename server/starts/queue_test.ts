import assert from "node:assert/strict";
import fc from "fast-check";
import { type Pace, type StartPriority, StartQueue } from "./queue.ts";

const calm: Pace = { maxStarting: 2, startCpuPercent: 90, cpuPercent: 10 };

function queueOf(...entries: [string, StartPriority][]): StartQueue {
  const queue = new StartQueue();
  for (const [id, priority] of entries) queue.enter(id, priority);
  return queue;
}

Deno.test("take() lets users go first, then spares, then mass starts, each in the order of arrival", () => {
  const queue = queueOf(["m1", "mass"], ["s1", "spare"], ["u1", "user"], ["m2", "mass"], ["u2", "user"]);
  assert.deepEqual(queue.inOrder(), ["u1", "u2", "s1", "m1", "m2"]);
  assert.equal(queue.placeOf("u2"), 1);
  assert.equal(queue.placeOf("m2"), 4);
  assert.deepEqual(queue.take(calm), ["u1", "u2"]);
  assert.deepEqual(queue.take(calm), []);
  assert.equal(queue.placeOf("u1"), null);
  assert.equal(queue.placeOf("m2"), 2);
  queue.leave("u1");
  assert.deepEqual(queue.take(calm), ["s1"]);
});

Deno.test("take() starts nothing but users' machines on a busy hypervisor", () => {
  const queue = queueOf(["m1", "mass"], ["s1", "spare"], ["u1", "user"]);
  assert.deepEqual(queue.take({ ...calm, cpuPercent: 91 }), ["u1"]);
  assert.deepEqual(queue.take({ ...calm, cpuPercent: 91 }), []);
  assert.deepEqual(queue.take({ ...calm, cpuPercent: 90 }), ["s1"]);
});

Deno.test("enter() moves a waiting start up when somebody more urgent wants it, and never down", () => {
  const queue = queueOf(["m1", "mass"], ["m2", "mass"], ["u1", "user"]);
  queue.enter("m2", "user");
  assert.deepEqual(queue.inOrder(), ["u1", "m2", "m1"]);
  queue.enter("u1", "mass");
  assert.deepEqual(queue.inOrder(), ["u1", "m2", "m1"]);
});

interface Arrival {
  atMs: number;
  bootMs: number;
  priority: StartPriority;
  /** Gives up this long after it came, unless it has begun. */
  patienceMs: number;
  fails: boolean;
}

/** Plays arrivals in virtual time; returns who began when. */
function play(arrivals: Arrival[], pace: Pace, check: (queue: StartQueue) => void): Map<number, number> {
  const queue = new StartQueue();
  const began = new Map<number, number>();
  const events = arrivals.map(({ atMs }, n) => ({
    atMs,
    act: () => queue.enter(`${n}`, arrivals[n]!.priority),
  }));
  for (const [n, { atMs, patienceMs }] of arrivals.entries()) {
    const act = () => void (began.has(n) || queue.leave(`${n}`));
    events.push({ atMs: atMs + patienceMs, act });
  }
  while (events.length > 0) {
    events.sort((one, other) => one.atMs - other.atMs);
    const { atMs, act } = events.shift()!;
    act();
    for (const id of queue.take(pace)) {
      const arrival = arrivals[Number(id)]!;
      began.set(Number(id), atMs);
      events.push({ atMs: atMs + (arrival.fails ? 1 : arrival.bootMs), act: () => queue.leave(id) });
    }
    check(queue);
  }
  assert.ok(queue.isIdle, "nobody is forgotten, and every slot is free in the end");
  return began;
}

const anyArrival: fc.Arbitrary<Arrival> = fc.record({
  atMs: fc.nat(60_000),
  bootMs: fc.integer({ min: 1, max: 20_000 }),
  priority: fc.constantFrom<StartPriority>("user", "spare", "mass"),
  patienceMs: fc.constantFrom(5_000, 10_000_000),
  fails: fc.boolean(),
});

Deno.test("a queue in virtual time: never too many at once, everybody's turn comes, users do not wait for others", () => {
  fc.assert(fc.property(
    fc.array(anyArrival, { maxLength: 40 }),
    fc.integer({ min: 1, max: 5 }),
    (arrivals, maxStarting) => {
      const pace = { ...calm, maxStarting };
      const began = play(arrivals, pace, (queue) => {
        assert.ok(queue.startingCount <= maxStarting);
        const isWaiting = queue.inOrder().length > 0;
        assert.ok(!isWaiting || queue.startingCount === maxStarting, "no slot is free while somebody waits");
      });
      for (const [n, arrival] of arrivals.entries()) {
        if (arrival.patienceMs > 5_000) assert.ok(began.has(n), "whoever is patient begins");
        for (const [later, other] of arrivals.entries()) {
          const sooner = began.get(later) ?? Infinity;
          if (other.priority !== arrival.priority || other.atMs <= arrival.atMs || !began.has(n)) continue;
          assert.ok(began.get(n)! <= sooner, "first come, first served among equals");
        }
      }
    },
  ));
});

Deno.test("a mass start of a thousand does not delay a user by more than one slot", () => {
  const mass = Array.from({ length: 1000 }, (): Arrival => ({
    atMs: 0,
    bootMs: 10_000,
    priority: "mass",
    patienceMs: Infinity,
    fails: false,
  }));
  const user: Arrival = {
    atMs: 12_345,
    bootMs: 10_000,
    priority: "user",
    patienceMs: Infinity,
    fails: false,
  };
  const began = play(
    [...mass, user].filter(({ patienceMs }) => patienceMs > 0),
    { ...calm, maxStarting: 4 },
    () => {},
  );
  assert.equal(began.get(1000), 20_000);
});
