import assert from "node:assert/strict";
import type { CloseReason } from "../../contracts/gateway.ts";
import { type DisplayTarget, followUpMs, maxChannels, Tickets } from "./tickets.ts";

const target = (changes: Partial<DisplayTarget> = {}): DisplayTarget => ({
  machineId: "machine-1",
  hypervisorId: "hypervisor-1",
  userId: "anna",
  leaseId: "lease-1",
  host: "127.0.0.1",
  port: 5900,
  expiresAt: 60_000,
  ...changes,
});

function openChannel() {
  const closed: CloseReason[] = [];
  return { closed, close: (reason: CloseReason) => void closed.push(reason) };
}

Deno.test("Tickets.issue() makes tickets that are valid host names and never the same", () => {
  const tickets = new Tickets(() => 0);
  const made = Array.from({ length: 50 }, () => tickets.issue(target()));
  assert.equal(new Set(made).size, 50);
  for (const ticket of made) assert.match(ticket, /^[a-z2-7]{52}$/);
});

Deno.test("Tickets.admit() opens exactly the display that the ticket was issued for", () => {
  const tickets = new Tickets(() => 0);
  const one = tickets.issue(target());
  const two = tickets.issue(target({ machineId: "machine-2", port: 5901 }));
  assert.equal(tickets.admit(one, openChannel())?.machineId, "machine-1");
  assert.equal(tickets.admit(two, openChannel())?.port, 5901);
  for (const wrong of ["", "127.0.0.1", "a".repeat(52), `${one}x`, one.toUpperCase(), "../../etc/passwd"]) {
    assert.equal(tickets.admit(wrong, openChannel()), null, wrong);
  }
});

Deno.test("Tickets.admit() refuses a ticket that was not used in time", () => {
  let now = 0;
  const tickets = new Tickets(() => now);
  const ticket = tickets.issue(target());
  now = 60_001;
  assert.equal(tickets.admit(ticket, openChannel()), null);
});

Deno.test("Tickets.admit() lets further channels in for a short time, then the ticket is used up", () => {
  let now = 0;
  const tickets = new Tickets(() => now);
  const ticket = tickets.issue(target());
  assert.ok(tickets.admit(ticket, openChannel()));
  now = followUpMs;
  assert.ok(tickets.admit(ticket, openChannel()));
  now = followUpMs + 1;
  assert.equal(tickets.admit(ticket, openChannel()), null);
});

Deno.test("Tickets.admit() limits the channels of one ticket", () => {
  const tickets = new Tickets(() => 0);
  const ticket = tickets.issue(target());
  for (let i = 0; i < maxChannels; i++) assert.ok(tickets.admit(ticket, openChannel()));
  assert.equal(tickets.admit(ticket, openChannel()), null);
});

Deno.test("Tickets.release() of the first channel closes the others and voids the ticket", () => {
  const tickets = new Tickets(() => 0);
  const ticket = tickets.issue(target());
  const main = openChannel(), display = openChannel();
  tickets.admit(ticket, main);
  tickets.admit(ticket, display);
  tickets.release(ticket, main);
  assert.deepEqual(display.closed, ["displayClosed"]);
  assert.equal(tickets.admit(ticket, openChannel()), null);
  assert.equal(tickets.isInUse(ticket), false);
});

Deno.test("Tickets.issue() voids the machine's unused ticket but leaves the open display alone", () => {
  const tickets = new Tickets(() => 0);
  const open = tickets.issue(target());
  const channel = openChannel();
  tickets.admit(open, channel);
  const unused = tickets.issue(target());
  tickets.issue(target());
  assert.equal(tickets.admit(unused, openChannel()), null);
  assert.deepEqual(channel.closed, []);
});

Deno.test("Tickets.admit() takes the display over and says by whom", () => {
  const tickets = new Tickets(() => 0);
  const first = openChannel(), second = openChannel(), elsewhere = openChannel();
  tickets.admit(tickets.issue(target({ machineId: "machine-2" })), elsewhere);
  tickets.admit(tickets.issue(target()), first);
  tickets.admit(tickets.issue(target()), second);
  assert.deepEqual(first.closed, ["takenOverByYou"]);
  tickets.admit(tickets.issue(target({ userId: "admin", leaseId: null })), openChannel());
  assert.deepEqual(second.closed, ["takenOver"]);
  assert.deepEqual(elsewhere.closed, []);
});

Deno.test("Tickets.revoke() ends used and unused tickets of a lease and nothing else", () => {
  const tickets = new Tickets(() => 0);
  const used = tickets.issue(target());
  const channel = openChannel(), other = openChannel();
  tickets.admit(used, channel);
  const unused = tickets.issue(target());
  const foreign = tickets.issue(target({ machineId: "machine-2", leaseId: "lease-2" }));
  tickets.admit(foreign, other);
  assert.deepEqual([...tickets.openLeaseIds()], ["lease-1", "lease-2"]);
  tickets.revoke({ leaseId: "lease-1" }, "leaseEnded");
  assert.deepEqual(channel.closed, ["leaseEnded"]);
  assert.equal(tickets.admit(unused, openChannel()), null);
  assert.deepEqual(other.closed, []);
  assert.deepEqual([...tickets.openLeaseIds()], ["lease-2"]);
});
