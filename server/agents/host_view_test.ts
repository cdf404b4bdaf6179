import assert from "node:assert/strict";
import type { AgentEvent } from "../../contracts/agent.ts";
import { fakeDomain, fakeFacts, fakeLoad } from "../../tests/support/fake_domain.ts";
import { HostView } from "./host_view.ts";

const [one, two] = ["1", "2"].map((digit) =>
  fakeDomain({ id: `00000000-0000-4000-8000-00000000000${digit}`, name: `m${digit}`, state: "running" })
) as [ReturnType<typeof fakeDomain>, ReturnType<typeof fakeDomain>];

const snapshot = (values: Partial<Extract<AgentEvent, { type: "snapshot" }>> = {}): AgentEvent => ({
  type: "snapshot",
  hello: { contract: 1, version: "0", commit: "x", hostname: "h", pid: 1, startedAt: 1 },
  libvirt: { connected: true, since: 1, reason: null },
  facts: fakeFacts(),
  load: fakeLoad(1),
  domains: [one, two],
  jobs: [],
  ...values,
});

Deno.test("HostView replaces its domains by a snapshot and patches them by changes", () => {
  const view = new HostView();
  assert.deepEqual(view.apply(snapshot()).map(({ type }) => type), ["status", "domains", "jobs"]);
  view.apply({ type: "domain", domain: { ...one, state: "paused" } });
  assert.equal(view.domains.get(one.id)?.state, "paused");
  assert.deepEqual(view.apply({ type: "domain-removed", id: two.id }), [
    { type: "domains", ids: [two.id], complete: false },
  ]);
  assert.deepEqual([...view.domains.keys()], [one.id]);
  view.apply({ type: "domains", domains: [two] });
  assert.deepEqual([...view.domains.keys()], [two.id]);
});

Deno.test("HostView keeps what it knew when a snapshot comes from an agent without libvirt", () => {
  const view = new HostView();
  view.apply(snapshot());
  view.apply(snapshot({ domains: [], libvirt: { connected: false, since: 2, reason: "gone" } }));
  assert.equal(view.domains.size, 2);
});

Deno.test("HostView forgets the load of a domain that no longer runs", () => {
  const view = new HostView();
  view.apply(snapshot());
  view.apply({ type: "load", load: fakeLoad(2), domains: [{ id: one.id, cpuPercent: 3, memoryUsedMiB: 5 }] });
  assert.equal(view.domainLoads.get(one.id)?.cpuPercent, 3);
  view.apply({ type: "domain", domain: { ...one, state: "shut-off" } });
  assert.equal(view.domainLoads.has(one.id), false);
});
