import assert from "node:assert/strict";
import { type Agent, agentContract, type AgentOperation, type MachineSpec } from "../../contracts/agent.ts";
import type { ErrorCode } from "../../contracts/errors.ts";
import { AgentEvents } from "./agent_events.ts";
import { testImageContract } from "./agent_image_contract.ts";

/** What the contract's tests need of an agent, real or fake. */
export interface ContractSubject extends AsyncDisposable {
  agent: Agent;
  /** A spec whose domain is removed at the end. */
  spec(name: string, values?: Partial<MachineSpec>): MachineSpec;
  /** A disk image on the hypervisor that boots, for imports. */
  diskPath: string;
  /** An ISO image on the hypervisor. */
  isoPath: string;
}

type Disk = Extract<AgentOperation, { kind: "create-machine" }>["disk"];

const mib = 2 ** 20;
const nobody = "11111111-1111-4111-8111-111111111111";
const refused = (code: ErrorCode, text = /./) => (error: unknown) => {
  const { code: actual, message } = error as { code?: string; message: string };
  assert.equal(actual, code, message);
  assert.match(message, text);
  return true;
};

/** Defines the tests that every implementation of `Agent` passes, each as `<name>: ...`. */
export function testAgentContract(name: string, start: () => Promise<ContractSubject>): void {
  testImageContract(name, start);
  const test = (what: string, body: (subject: ContractSubject, events: AgentEvents) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using subject = await start();
      await using events = new AgentEvents(subject.agent);
      await events.until("the snapshot", () => events.all.length > 0);
      await body(subject, events);
    });

  async function create(
    subject: ContractSubject,
    events: AgentEvents,
    disk: Disk,
    values: Partial<MachineSpec> = {},
  ): Promise<string> {
    const machine = subject.spec("contract", values);
    const job = await events.runJob(subject.agent, { kind: "create-machine", machine, disk });
    assert.equal(job.state, "succeeded", job.error?.message ?? "");
    await events.untilDomain(machine.id, "is told", () => true);
    return machine.id;
  }
  const blank: Disk = { kind: "blank", bytes: 16 * mib };
  const none: Disk = { kind: "none" };

  test("hello() tells the contract's version", async ({ agent }) => {
    assert.equal((await agent.hello()).contract, agentContract);
  });

  test("events() begin with a snapshot and never fall silent", async (_subject, events) => {
    assert.equal(events.all[0]?.type, "snapshot");
    await events.until("a sign of life", () => events.all.length > 1, 8_000);
  });

  test("create-machine makes a closed, shut-off domain and tells it", async (subject, events) => {
    const id = await create(subject, events, blank, { role: "source", vcpus: 2, memoryMiB: 128 });
    const domain = events.domains.get(id);
    assert.partialDeepStrictEqual(domain, {
      managed: true,
      role: "source",
      state: "shut-off",
      persistent: true,
      osType: "linux",
      vcpus: 2,
      memoryMiB: 128,
      virtualSnapshot: false,
      pendingAction: null,
      guestAgent: false,
    });
    assert.deepEqual(domain?.displays, ["spice"]);
    assert.equal(domain?.disks.find(({ device }) => device === "disk")?.virtualBytes, 16 * mib);
  });

  test("startJob() with the same id answers the same job", async ({ agent, spec }, events) => {
    const machine = spec("contract");
    const request = {
      id: crypto.randomUUID(),
      operation: { kind: "create-machine", machine, disk: none } as const,
    };
    await agent.startJob(request);
    await events.untilJobEnds(request.id);
    const again = await agent.startJob(request);
    assert.equal(again.state, "succeeded");
    assert.equal((await agent.jobs()).filter(({ id }) => id === request.id).length, 1);
  });

  test("a job that has ended can be cancelled without harm", async ({ agent, spec }, events) => {
    const job = await events.runJob(agent, { kind: "create-machine", machine: spec("contract"), disk: none });
    await agent.cancelJob(job.id);
    assert.equal((await agent.jobs()).find(({ id }) => id === job.id)?.state, "succeeded");
  });

  test("a job that cannot be done fails with the reason", async (subject, events) => {
    const id = await create(subject, events, blank);
    const job = await events.runJob(subject.agent, { kind: "copy-disk", fromId: nobody, toId: id });
    assert.equal(job.state, "failed");
    assert.ok(job.error?.message);
    assert.ok(job.endedAt);
  });

  test(
    "power start, suspend, resume and destroy change the state, again and again",
    async (subject, events) => {
      const id = await create(subject, events, blank);
      const { agent } = subject;
      for (const action of ["start", "start"] as const) {
        assert.equal((await agent.power(id, { action })).state, "running");
      }
      for (const action of ["suspend", "suspend"] as const) {
        assert.equal((await agent.power(id, { action })).state, "paused");
      }
      await assert.rejects(agent.power(id, { action: "shutdown" }), refused("conflict"));
      for (const action of ["resume", "resume"] as const) {
        assert.equal((await agent.power(id, { action })).state, "running");
      }
      for (const action of ["destroy", "destroy"] as const) {
        assert.equal((await agent.power(id, { action })).state, "shut-off");
      }
      await events.untilDomain(id, "is off", ({ state }) => state === "shut-off");
      await assert.rejects(agent.power(id, { action: "resume" }), refused("conflict"));
      await assert.rejects(agent.power(id, { action: "suspend" }), refused("conflict"));
      await assert.rejects(agent.power(id, { action: "reboot" }), refused("conflict"));
      assert.equal((await agent.power(id, { action: "shutdown" })).state, "shut-off");
    },
  );

  test("shutdown returns once asked, and force ends a guest that does not obey", async (subject, events) => {
    const id = await create(subject, events, blank);
    await subject.agent.power(id, { action: "start" });
    const asked = await subject.agent.power(id, { action: "shutdown", timeoutSeconds: 1, force: true });
    assert.equal(asked.pendingAction, "shutdown");
    const off = await events.untilDomain(id, "is off", ({ state }) => state === "shut-off");
    assert.equal(off.pendingAction, null);
  });

  test(
    "a shutdown that the guest ignores is no longer pending when its time is up",
    async (subject, events) => {
      const id = await create(subject, events, blank);
      await subject.agent.power(id, { action: "start" });
      await subject.agent.power(id, { action: "shutdown", timeoutSeconds: 1 });
      await events.untilDomain(id, "is asked", ({ pendingAction }) => pendingAction === "shutdown");
      const domain = await events.untilDomain(id, "is let be", ({ pendingAction }) => pendingAction === null);
      assert.equal(domain.state, "running");
    },
  );

  test("a virtual snapshot is told while it lasts", async (subject, events) => {
    const id = await create(subject, events, blank);
    const { agent } = subject;
    const path = events.domains.get(id)?.disks[0]?.path;
    const running = await agent.power(id, { action: "start", virtualSnapshot: true });
    assert.equal(running.virtualSnapshot, true);
    assert.equal(running.disks[0]?.path, path);
    assert.equal((await agent.power(id, { action: "start", virtualSnapshot: true })).state, "running");
    assert.equal((await agent.power(id, { action: "destroy" })).virtualSnapshot, false);
    await agent.power(id, { action: "start" });
    const wanted = agent.power(id, { action: "start", virtualSnapshot: true });
    await assert.rejects(wanted, refused("conflict"));
  });

  test(
    "a vdi cannot start before it is populated, and knows its image afterwards",
    async (subject, events) => {
      const initialId = await create(subject, events, blank, { role: "initial" });
      const id = await create(subject, events, none, { role: "vdi" });
      const { agent } = subject;
      await assert.rejects(agent.power(id, { action: "start" }), refused("conflict", /populate/i));
      const job = await events.runJob(agent, { kind: "populate", initialId, machineIds: [id] });
      assert.equal(job.state, "succeeded", job.error?.message ?? "");
      assert.deepEqual(job.items.map(({ ok }) => ok), [true]);
      const base = events.domains.get(initialId)?.disks[0]?.path;
      await events.untilDomain(id, "has its overlay", ({ disks }) => disks[0]?.backingPath === base);
      assert.equal((await agent.power(id, { action: "start" })).state, "running");
    },
  );

  test(
    "copy-disk gives the initial a new image, and refuses while the source runs",
    async (subject, events) => {
      const { agent } = subject;
      const fromId = await create(subject, events, { kind: "import", path: subject.diskPath }, {
        role: "source",
      });
      const toId = await create(subject, events, none, { role: "initial" });
      await agent.power(fromId, { action: "start" });
      const refusedJob = await events.runJob(agent, { kind: "copy-disk", fromId, toId });
      assert.equal(refusedJob.state, "failed");
      assert.equal(refusedJob.error?.code, "conflict");
      await agent.power(fromId, { action: "destroy" });
      const job = await events.runJob(agent, { kind: "copy-disk", fromId, toId });
      assert.equal(job.state, "succeeded", job.error?.message ?? "");
      const copied = await events.untilDomain(toId, "has its image", ({ disks }) => Boolean(disks[0]?.path));
      assert.equal(
        copied.disks[0]?.virtualBytes,
        events.domains.get(fromId)?.disks[0]?.virtualBytes,
      );
    },
  );

  test("edit() changes a machine that is off, and only the ISO of a running one", async (subject, events) => {
    const id = await create(subject, events, blank);
    const { agent, isoPath, spec } = subject;
    const { name } = spec("renamed");
    const edited = await agent.edit(id, { name, memoryMiB: 96, vcpus: 2, video: "qxl", osType: "windows" });
    assert.partialDeepStrictEqual(edited, { name, memoryMiB: 96, vcpus: 2, video: "qxl", osType: "windows" });
    await agent.power(id, { action: "start" });
    await assert.rejects(agent.edit(id, { memoryMiB: 128 }), refused("conflict"));
    assert.equal((await agent.edit(id, { iso: isoPath })).iso, isoPath);
    assert.equal((await agent.edit(id, { iso: null })).iso, null);
    await assert.rejects(agent.edit(id, { iso: "/nowhere.iso" }), refused("invalid"));
  });

  test("ticket() opens the display of a running machine only", async (subject, events) => {
    const id = await create(subject, events, blank);
    const { agent } = subject;
    await assert.rejects(agent.ticket(id, { ttlSeconds: 30 }), refused("conflict"));
    await agent.power(id, { action: "start" });
    const [one, other] = [
      await agent.ticket(id, { ttlSeconds: 30 }),
      await agent.ticket(id, { ttlSeconds: 30 }),
    ];
    assert.equal(one.protocol, "spice");
    assert.ok(one.port > 0 && one.host);
    assert.ok(one.password.length >= 16);
    assert.notEqual(one.password, other.password);
    assert.ok(Math.abs(other.expiresAt - Date.now() - 30_000) < 5_000);
    await agent.kick(id);
  });

  test("screenshot() is a PNG of a running machine", async (subject, events) => {
    const id = await create(subject, events, blank);
    const { agent } = subject;
    await assert.rejects(agent.screenshot(id), refused("conflict"));
    await agent.power(id, { action: "start" });
    const picture = await agent.screenshot(id);
    assert.equal(String.fromCharCode(...picture.subarray(1, 4)), "PNG");
  });

  test("xml() and disks() describe a machine without its secrets", async (subject, events) => {
    const id = await create(subject, events, blank);
    const xml = await subject.agent.xml(id);
    assert.match(xml, new RegExp(id));
    assert.doesNotMatch(xml, /passwd=/);
    const [disk] = (await subject.agent.disks(id)).filter(({ device }) => device === "disk");
    assert.equal(disk?.chain.length, 1);
  });

  test("imageFiles() lists ISO images", async ({ agent, isoPath }) => {
    assert.equal((await agent.imageFiles()).find(({ path }) => path === isoPath)?.kind, "iso");
  });

  test("delete-machine removes the domain and tells it", async (subject, events) => {
    const id = await create(subject, events, blank);
    const job = await events.runJob(subject.agent, {
      kind: "delete-machine",
      machineId: id,
      keepDisks: false,
    });
    assert.equal(job.state, "succeeded", job.error?.message ?? "");
    await events.until("the removal", () => !events.domains.has(id));
  });

  test("what does not exist is not_found", async ({ agent }) => {
    await assert.rejects(agent.power(nobody, { action: "start" }), refused("not_found"));
    await assert.rejects(agent.edit(nobody, { memoryMiB: 128 }), refused("not_found"));
    await assert.rejects(agent.ticket(nobody, { ttlSeconds: 30 }), refused("not_found"));
    await assert.rejects(agent.kick(nobody), refused("not_found"));
    await assert.rejects(agent.screenshot(nobody), refused("not_found"));
    await assert.rejects(agent.xml(nobody), refused("not_found"));
    await assert.rejects(agent.disks(nobody), refused("not_found"));
    await assert.rejects(agent.cancelJob(nobody), refused("not_found"));
  });
}
