import assert from "node:assert/strict";
import type { BodyOf } from "../../contracts/api.ts";
import { startTestDashboard } from "../support/dashboard.ts";
import { FakeAgent } from "../support/fake_agent.ts";

/** Two hypervisors, the second twice as large, and an initial on the first. */
async function startStand() {
  const [small, large] = [new FakeAgent(), new FakeAgent()];
  small.facts = { ...small.facts, memoryMiB: 32_768, cpus: 8 };
  large.facts = { ...large.facts, memoryMiB: 65_536, cpus: 16 };
  const board = await startTestDashboard({ agents: { small, large } });
  const create = async (body: BodyOf<"createMachines">) => {
    const { job, machines } = await board.admin.call("createMachines", { body });
    return { job: await board.app.jobs.ended(job.id), machines };
  };
  const hypervisorId = board.hypervisorIds.small!;
  const { machines: [source] } = await create({
    name: "source",
    role: "source",
    hypervisorId,
    disk: { kind: "blank", bytes: 2 ** 30 },
  });
  const { machines: [initial] } = await create({
    name: "initial",
    role: "initial",
    sourceId: source!.id,
    copyDisk: true,
  });
  return {
    board,
    create,
    sourceId: initial!.id,
    hypervisorIds: [hypervisorId, board.hypervisorIds.large!],
    [Symbol.asyncDispose]: async () => {
      await board[Symbol.asyncDispose]();
      await small[Symbol.asyncDispose]();
      await large[Symbol.asyncDispose]();
    },
  };
}

Deno.test("new vdi machines are spread by what hypervisors can run, with one counter, and populated there", async () => {
  await using stand = await startStand();
  const { board, create, sourceId, hypervisorIds } = stand;
  const { job, machines } = await create({
    name: "lab-{nn}",
    count: 9,
    role: "vdi",
    sourceId,
    hypervisorIds,
    populate: true,
  });
  assert.equal(job.state, "succeeded", job.error?.message ?? "");
  assert.equal(job.items.length, 9);
  assert.deepEqual(machines.map(({ name }) => name), Array.from({ length: 9 }, (_, n) => `lab-0${n + 1}`));
  const on = (id: string) => machines.filter(({ hypervisorId }) => hypervisorId === id).length;
  assert.deepEqual(hypervisorIds.map(on), [3, 6]);
  const { items } = await board.admin.call("listMachines", { query: { role: "vdi", limit: 100 } });
  assert.ok(
    items.every(({ populatedAt, imageVersion }) => populatedAt !== null && imageVersion?.number === 1),
  );
  const more = await create({
    name: "lab-{nn}",
    count: 1,
    role: "vdi",
    sourceId,
    hypervisorId: hypervisorIds[1],
  });
  assert.equal(more.machines[0]?.name, "lab-10");
});

Deno.test("names are free on all hypervisors that machines are spread over", async () => {
  await using stand = await startStand();
  const { create, sourceId, hypervisorIds } = stand;
  await create({ name: "lab-7", role: "vdi", sourceId, hypervisorId: hypervisorIds[1] });
  const { machines } = await create({ name: "lab-{n}", count: 2, role: "vdi", sourceId, hypervisorIds });
  assert.deepEqual(machines.map(({ name }) => name), ["lab-8", "lab-9"]);
});

Deno.test("only vdi machines are spread, and over hypervisors that are there", async () => {
  await using stand = await startStand();
  const { board, sourceId, hypervisorIds } = stand;
  const refused = (body: BodyOf<"createMachines">, message: RegExp) =>
    assert.rejects(board.admin.call("createMachines", { body }), { code: "invalid", message });
  await refused(
    { name: "a", role: "vdi", sourceId, hypervisorIds: [crypto.randomUUID()] },
    /no such hypervisor/,
  );
  await refused(
    { name: "a", role: "vdi", sourceId, hypervisorIds, hypervisorId: hypervisorIds[0] },
    /give this or hypervisorId/,
  );
  const disk = { kind: "blank" as const, bytes: 2 ** 30 };
  await refused({ name: "a", role: "simple", disk, hypervisorIds }, /only vdi machines are spread/);
});
