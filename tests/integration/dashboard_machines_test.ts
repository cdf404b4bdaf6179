import assert from "node:assert/strict";
import type { BodyOf } from "../../contracts/api.ts";
import { AppError } from "../../contracts/errors.ts";
import { deadline, gib, MachinesStand, refused, sourceBody } from "../support/machines_stand.ts";

Deno.test("source, initial with copy, and vdi machines with overlays come out of three requests", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial, vdis } = await stand.tree();
  assert.equal(source.state, "shut-off");
  assert.equal(source.diskBytes, 20 * gib);
  assert.equal(initial.diskBytes, 20 * gib);
  assert.equal(initial.memoryMiB, 4096, "the source's memory is the default");
  assert.deepEqual(vdis.map(({ name }) => name), ["lab-1", "lab-2", "lab-3"]);
  for (const vdi of vdis) {
    assert.ok(vdi.populatedAt);
    assert.equal(vdi.outdated, false);
    assert.equal(vdi.jobId, null);
    assert.match(vdi.mac ?? "", /^52:54:00/);
  }
  assert.equal((await stand.machine(initial.id)).cloneCount, 3);
  const { items } = await stand.api.call("listJobs", { query: {} });
  assert.deepEqual(items.map(({ kind, state }) => [kind, state]), [
    ["create-machines", "succeeded"],
    ["create-machines", "succeeded"],
    ["create-machine", "succeeded"],
  ]);
});

Deno.test("createMachines names the field that is wrong, for every combination of role and field", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial } = await stand.tree(1);
  const disk = { kind: "blank", bytes: gib } as const;
  const cases: [BodyOf<"createMachines">, string, RegExp][] = [
    [{ name: "a", role: "simple" }, "disk", /needs a disk/],
    [{ name: "a", role: "source", disk: { kind: "none" } }, "disk", /needs a disk/],
    [{ name: "a", role: "simple", disk, sourceId: source.id }, "sourceId", /has no source/],
    [{ name: "a", role: "initial" }, "sourceId", /choose the source/],
    [{ name: "a", role: "vdi" }, "sourceId", /choose the initial/],
    [{ name: "a", role: "vdi", sourceId: source.id }, "sourceId", /is a source/],
    [{ name: "a", role: "initial", sourceId: initial.id }, "sourceId", /is an initial/],
    [{ name: "a", role: "vdi", sourceId: crypto.randomUUID() }, "sourceId", /no such machine/],
    [{ name: "a", role: "vdi", sourceId: initial.id, disk }, "disk", /leave it out/],
    [{ name: "a", role: "simple", disk, copyDisk: true }, "copyDisk", /initial/],
    [{ name: "a", role: "simple", disk, populate: true }, "populate", /vdi/],
    [{ name: "a", role: "simple", disk, count: 2 }, "name", /put \{n\}/],
    [{ name: "{n}-{n}", role: "simple", disk, count: 2 }, "name", /once/],
    [{ name: "-a", role: "simple", disk }, "name", /letters/],
    [{ name: "a", role: "simple", disk, hypervisorId: crypto.randomUUID() }, "hypervisorId", /no such/],
    [{ name: "a", role: "simple", disk, network: "nowhere" }, "network", /default, bridge:br0/],
    [{ name: "a", role: "simple", disk, memoryMiB: 4_000_000 }, "memoryMiB", /in all/],
    [
      { name: "a", role: "simple", disk: { kind: "domain", domainId: crypto.randomUUID() } },
      "disk.domainId",
      /no such/,
    ],
  ];
  for (const [body, field, text] of cases) {
    await assert.rejects(stand.api.call("createMachines", { body }), refused("invalid", text, field));
  }
  await assert.rejects(
    stand.api.call("createMachines", { body: { name: "LAB-1", role: "simple", disk } }),
    refused("conflict", /already/, "name"),
  );
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, 3, "nothing was made");
});

Deno.test("createMachines counts on after names that are taken", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(3);
  const more = await stand.create({ name: "lab-{n}", role: "vdi", sourceId: initial.id, count: 2 });
  assert.deepEqual(more.map(({ name }) => name), ["lab-4", "lab-5"]);
  assert.equal(more[0]?.populatedAt, null);
  const padded = await stand.create({ name: "pc{nn}-x", role: "vdi", sourceId: initial.id, count: 2 });
  assert.deepEqual(padded.map(({ name }) => name), ["pc01-x", "pc02-x"]);
});

Deno.test("a machine whose creation fails leaves no row behind", async () => {
  await using stand = await MachinesStand.start();
  const body = { name: "a", role: "simple", disk: { kind: "import", path: "/nowhere.qcow2" } } as const;
  const { job } = await stand.api.call("createMachines", { body });
  const { state, error } = await stand.ended(job);
  assert.equal(state, "failed");
  assert.match(error?.message ?? "", /nowhere/);
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, 0);

  stand.agent.failNext("startJob", new AppError("conflict", "not this one"));
  const several = await stand.api.call("createMachines", { body: { ...sourceBody("s-{n}"), count: 3 } });
  const ended = await stand.ended(several.job);
  assert.equal(ended.state, "failed");
  assert.match(ended.error?.message ?? "", /1 of 3 failed/);
  assert.deepEqual(ended.items.map(({ ok }) => ok).sort(), [false, true, true]);
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, 2);
});

Deno.test("an existing domain is adopted as it is, and is no longer importable", async () => {
  await using stand = await MachinesStand.start();
  const domain = stand.agent.addDomain({
    name: "old-server",
    managed: false,
    role: null,
    osType: null,
    memoryMiB: 3000,
  });
  const id = stand.hypervisorId;
  await stand.dashboard.app.agents.waitForDomain(domain.id, () => true, deadline());
  const before = await stand.api.call("listImportableDomains", { id });
  assert.deepEqual(before.items.map(({ name }) => name), ["old-server"]);
  const disk = { kind: "domain", domainId: domain.id } as const;
  const [machine] = await stand.create({ name: "old-server", role: "source", disk });
  assert.equal(machine?.id, domain.id);
  assert.equal(machine?.memoryMiB, 3000);
  assert.equal(machine?.state, "shut-off");
  assert.equal((await stand.api.call("listImportableDomains", { id })).items.length, 0);
});

Deno.test("power changes are seen at once, a shutdown is pending until the guest obeys", async () => {
  await using stand = await MachinesStand.start({ shutdownMs: 50 });
  const [machine] = await stand.create(sourceBody());
  const id = machine!.id;
  const started = await stand.api.call("powerMachine", { id, body: { action: "start" } });
  assert.equal(started.machine.state, "running");
  await stand.until(id, "booted", ({ guestAgent, addresses }) => guestAgent && addresses.length === 1);
  const asked = await stand.api.call("powerMachine", { id, body: { action: "shutdown" } });
  assert.equal(asked.machine.pendingAction, "shutdown");
  await stand.until(
    id,
    "stopped",
    ({ state, pendingAction }) => state === "shut-off" && pendingAction === null,
  );
  const row = await stand.dashboard.app.db.selectFrom("machines").select("state").where("id", "=", id)
    .executeTakeFirst();
  assert.equal(row?.state, "shut-off", "the row follows");
});

Deno.test("a machine is started on a virtual snapshot when its flag says so", async () => {
  await using stand = await MachinesStand.start();
  const { vdis: [vdi] } = await stand.tree(1);
  await stand.api.call("updateMachine", { id: vdi!.id, body: { virtualSnapshot: true } });
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  assert.equal(stand.agent.domains.get(vdi!.id)?.virtualSnapshot, true);
});

Deno.test("an initial whose clones lie on its disk is not started read-write", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  await assert.rejects(
    stand.api.call("powerMachine", { id: initial.id, body: { action: "start" } }),
    refused("conflict", /version 1 of its image is sealed/),
  );
});

Deno.test("a vdi without overlay is not started", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  const [vdi] = await stand.create({ name: "bare", role: "vdi", sourceId: initial.id });
  await assert.rejects(
    stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } }),
    refused("conflict", /Populate it first/),
  );
});

Deno.test("updateMachine changes flags at any time and hardware only while the machine is off", async () => {
  await using stand = await MachinesStand.start();
  const [machine] = await stand.create(sourceBody());
  const id = machine!.id;
  const edited = await stand.api.call("updateMachine", {
    id,
    body: { name: "renamed", vcpus: 4, notes: "for room 12" },
  });
  assert.partialDeepStrictEqual(edited.machine, { name: "renamed", vcpus: 4, notes: "for room 12" });
  assert.equal(stand.agent.domains.get(id)?.name, "renamed");
  await stand.api.call("powerMachine", { id, body: { action: "start" } });
  await assert.rejects(
    stand.api.call("updateMachine", { id, body: { memoryMiB: 1024 } }),
    refused("conflict", /Shut it down first/, "memoryMiB"),
  );
  const flagged = await stand.api.call("updateMachine", {
    id,
    body: { maintenance: true, locked: true, vcpus: 4 },
  });
  assert.equal(
    flagged.machine.maintenance && flagged.machine.locked,
    true,
    "what does not change does not matter",
  );
  const other = await stand.create(sourceBody("other"));
  await assert.rejects(
    stand.api.call("updateMachine", { id: other[0]!.id, body: { name: "RENAMED" } }),
    refused("conflict", /already/, "name"),
  );
});

Deno.test("deleteMachine refuses what is in use and says why", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial, vdis: [vdi] } = await stand.tree(1);
  const remove = (id: string) => stand.api.call("deleteMachine", { id });
  await assert.rejects(remove(source.id), refused("conflict", /win-gold/));
  await assert.rejects(remove(initial.id), refused("conflict", /lab-1/));
  await stand.api.call("updateMachine", { id: vdi!.id, body: { locked: true } });
  await assert.rejects(remove(vdi!.id), refused("conflict", /locked/));
  await stand.api.call("updateMachine", { id: vdi!.id, body: { locked: false } });
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "start" } });
  await assert.rejects(remove(vdi!.id), refused("conflict", /running/));
  await stand.api.call("powerMachine", { id: vdi!.id, body: { action: "destroy" } });
  const { job } = await remove(vdi!.id);
  assert.equal((await stand.ended(job)).state, "succeeded");
  await assert.rejects(stand.machine(vdi!.id), refused("not_found", /no such machine/));
  assert.equal(stand.agent.domains.has(vdi!.id), false);
});

Deno.test("a machine whose domain is gone already can be deleted", async () => {
  await using stand = await MachinesStand.start();
  const [machine] = await stand.create(sourceBody());
  stand.agent.removeDomain(machine!.id);
  await stand.until(machine!.id, "was missed", ({ state }) => state === "unknown");
  const { job } = await stand.api.call("deleteMachine", { id: machine!.id });
  assert.equal((await stand.ended(job)).state, "succeeded");
});

Deno.test("copying the disk refuses a source or initial that is on, and leaves clones where they are until it is published", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial, vdis: [vdi] } = await stand.tree(1);
  const copy = () => stand.api.call("copyDisk", { id: initial.id });
  await stand.api.call("powerMachine", { id: source.id, body: { action: "start" } });
  await assert.rejects(copy(), refused("conflict", /win-src cannot be used: it is running/));
  await stand.api.call("powerMachine", { id: source.id, body: { action: "destroy" } });
  assert.equal((await stand.ended((await copy()).job)).state, "succeeded");
  assert.partialDeepStrictEqual(await stand.machine(vdi!.id), {
    outdated: false,
    imageVersion: { number: 1 },
  });
  assert.equal((await stand.machine(initial.id)).imageVersion?.number, 2);
  const { image: { versions: [newest] } } = await stand.api.call("getImage", { id: initial.id });
  const { job } = await stand.api.call("publishVersion", { id: newest!.id });
  const ended = await stand.ended(job);
  assert.equal(ended.state, "succeeded", ended.error?.message ?? "");
  assert.deepEqual(ended.items.map(({ name, ok }) => [name, ok]), [["lab-1", true]]);
  assert.partialDeepStrictEqual(await stand.machine(vdi!.id), {
    outdated: false,
    imageVersion: { number: 2 },
  });
  await assert.rejects(
    stand.api.call("copyDisk", { id: source.id }),
    refused("invalid", /win-src is a source: only an initial/),
  );
});

Deno.test("a subject has one open job, and the refusal names it", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial } = await stand.tree(1);
  stand.agent.hold("copy-disk");
  const { job } = await stand.api.call("copyDisk", { id: initial.id });
  await assert.rejects(stand.api.call("copyDisk", { id: initial.id }), refused("conflict", /copy-disk/));
  await assert.rejects(
    stand.api.call("powerMachine", { id: source.id, body: { action: "start" } }),
    refused("conflict", /busy: copy-disk of win-gold/),
  );
  assert.equal((await stand.machine(source.id)).jobId, job.id);
  stand.agent.release("copy-disk");
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.equal((await stand.machine(source.id)).jobId, null);
});

Deno.test("a cancelled copy leaves the old image in place", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  const before = stand.agent.domains.get(initial.id)?.disks;
  stand.agent.hold("copy-disk");
  const { job } = await stand.api.call("copyDisk", { id: initial.id });
  const { job: asked } = await stand.api.call("cancelJob", { id: job.id });
  assert.equal(asked.id, job.id);
  assert.equal((await stand.ended(job)).state, "cancelled");
  assert.deepEqual(stand.agent.domains.get(initial.id)?.disks, before);
  await assert.rejects(
    stand.api.call("cancelJob", { id: job.id }),
    refused("conflict", /already ended: cancelled/),
  );
});

Deno.test("progress of a copy reaches the job, at most four times a second", async () => {
  await using stand = await MachinesStand.start({ copyMs: 1000 });
  const { initial } = await stand.tree(1);
  const told: { done: number; at: number }[] = [];
  const unsubscribe = stand.dashboard.app.bus.subscribe((change) => {
    if (change.type !== "job" || change.job.kind !== "copy-disk" || change.job.state !== "running") return;
    told.push({ done: change.job.done, at: performance.now() });
  });
  const { job } = await stand.api.call("copyDisk", { id: initial.id });
  const ended = await stand.ended(job);
  unsubscribe();
  assert.equal(ended.done, 20 * gib);
  assert.ok(told.some(({ done }) => done > 0 && done < 20 * gib), "half way was told");
  assert.ok(told.length <= 7, `told ${told.length} times within a second`);
});

Deno.test("populate leaves machines that are on or leased as they are, with the reason (defect 15)", async () => {
  await using stand = await MachinesStand.start();
  const { initial, vdis } = await stand.tree(3);
  await stand.api.call("powerMachine", { id: vdis[0]!.id, body: { action: "start" } });
  const before = await stand.machine(vdis[0]!.id);
  stand.agent.failPopulate(vdis[1]!.id, "qemu-img created nothing");
  const { job } = await stand.api.call("populate", { id: initial.id, body: {} });
  const ended = await stand.ended(job);
  assert.equal(ended.state, "failed", "what was not made is no success");
  const items = new Map(ended.items.map((item) => [item.name, item]));
  assert.match(items.get("lab-1")?.message ?? "", /running/);
  assert.equal(items.get("lab-2")?.message, "qemu-img created nothing");
  assert.equal(items.get("lab-3")?.ok, true);
  assert.equal((await stand.machine(vdis[0]!.id)).populatedAt, before.populatedAt);
});

Deno.test("populate of one vdi, of chosen ones, and of strangers", async () => {
  await using stand = await MachinesStand.start();
  const { source, initial, vdis } = await stand.tree(3);
  const one = await stand.ended((await stand.api.call("populate", { id: vdis[0]!.id, body: {} })).job);
  assert.deepEqual(one.items.map(({ name }) => name), ["lab-1"]);
  const body = { machineIds: [vdis[1]!.id, vdis[2]!.id] };
  const two = await stand.ended((await stand.api.call("populate", { id: initial.id, body })).job);
  assert.deepEqual(two.items.map(({ name }) => name).sort(), ["lab-2", "lab-3"]);
  await assert.rejects(
    stand.api.call("populate", { id: initial.id, body: { machineIds: [source.id] } }),
    refused("invalid", /not vdi machines/, "machineIds"),
  );
  await assert.rejects(
    stand.api.call("populate", { id: source.id, body: {} }),
    refused("invalid", /only initial/),
  );
});

Deno.test("populate on a version that is being written is refused by the agent and told as failure (defect 15)", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  stand.agent.change(initial.id, { state: "running" });
  const { job } = await stand.api.call("populate", { id: initial.id, body: {} });
  const ended = await stand.ended(job);
  assert.equal(ended.state, "failed");
  assert.match(ended.error?.message ?? "", /win-gold is running on/);
});

Deno.test("bulk actions do what they can and report each machine", async () => {
  await using stand = await MachinesStand.start({ shutdownMs: 10 });
  const { source, initial, vdis } = await stand.tree(4);
  const ids = vdis.map(({ id }) => id);
  const bulk = async (action: BodyOf<"bulkMachines">["action"], some = ids) =>
    await stand.ended((await stand.api.call("bulkMachines", { body: { ids: some, action } })).job);
  assert.equal((await bulk("start")).state, "succeeded");
  for (const id of ids) assert.equal((await stand.machine(id)).state, "running");
  assert.equal((await bulk("shutdown")).state, "succeeded");
  for (const id of ids) await stand.until(id, "stopped", ({ state }) => state === "shut-off");
  await bulk("maintenance-on");
  await bulk("virtual-snapshot-on");
  const flags = await stand.machine(ids[2]!);
  assert.ok(flags.maintenance && flags.virtualSnapshot);
  assert.equal((await bulk("populate", [...ids, initial.id])).items.filter(({ ok }) => ok).length, 4);
  await stand.api.call("updateMachine", { id: ids[0]!, body: { locked: true } });
  const deleted = await bulk("delete", [source.id, initial.id, ...ids]);
  assert.equal(deleted.state, "failed");
  assert.deepEqual(
    deleted.items.filter(({ ok }) => !ok).map(({ name }) => name).sort(),
    ["lab-1", "win-gold", "win-src"],
    "the locked one keeps its initial and source",
  );
  assert.equal((await stand.api.call("listMachines", { query: {} })).total, 3);
  await stand.api.call("updateMachine", { id: ids[0]!, body: { locked: false } });
  assert.equal((await bulk("delete", [source.id, initial.id, ids[0]!])).state, "succeeded", "a whole tree");
  assert.equal(stand.agent.domains.size, 0);
});

Deno.test("the table filters, searches, sorts and pages", async () => {
  await using stand = await MachinesStand.start();
  const { initial, vdis } = await stand.tree(5);
  await stand.api.call("powerMachine", { id: vdis[3]!.id, body: { action: "start" } });
  const address = (await stand.until(vdis[3]!.id, "booted", ({ addresses }) => addresses.length > 0))
    .addresses[0]!;
  await stand.api.call("updateMachine", { id: vdis[4]!.id, body: { notes: "near the WINDOW 100%" } });
  const names = async (query: Record<string, unknown>) =>
    (await stand.api.call("listMachines", { query })).items.map(({ name }) => name);
  assert.deepEqual(await names({ role: "vdi", state: "running" }), ["lab-4"]);
  assert.deepEqual(await names({ sourceId: initial.id, order: "desc", limit: 2 }), ["lab-5", "lab-4"]);
  assert.deepEqual(await names({ q: "window 100%" }), ["lab-5"]);
  assert.deepEqual(await names({ q: "100_" }), [], "no wildcards");
  assert.deepEqual(await names({ q: address }), ["lab-4"]);
  assert.deepEqual(await names({ q: vdis[1]!.mac! }), ["lab-2"]);
  assert.deepEqual(await names({ offset: 5, sort: "name" }), ["win-gold", "win-src"]);
  for (const sort of ["name", "role", "state", "hypervisor", "createdAt", "memoryMiB"] as const) {
    for (const order of ["asc", "desc"] as const) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await stand.api.call("listMachines", {
          query: { sort, order, limit: 2, ...(cursor && { cursor }) },
        });
        assert.equal(page.total, 7);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
      } while (cursor);
      assert.equal(new Set(seen).size, 7, `every machine once, sorted by ${sort} ${order}`);
    }
  }
});

Deno.test("disks, XML and screenshots come from the agent; a screenshot is taken once for many viewers", async () => {
  await using stand = await MachinesStand.start();
  const { vdis: [vdi] } = await stand.tree(1);
  const id = vdi!.id;
  const { items } = await stand.api.call("getMachineDisks", { id });
  assert.deepEqual(items[0]?.chain.map(({ kind }) => kind), ["overlay", "image"]);
  const xml = await stand.api.fetch(`/api/machines/${id}/xml`);
  assert.match(await xml.text(), /lab-1/);
  const off = await stand.api.fetch(`/api/machines/${id}/screenshot`);
  assert.equal(off.status, 409);
  await off.body?.cancel();
  await stand.api.call("powerMachine", { id, body: { action: "start" } });
  const pictures = await Promise.all(
    Array.from({ length: 20 }, () => stand.api.fetch(`/api/machines/${id}/screenshot`)),
  );
  for (const picture of pictures) {
    assert.equal(picture.headers.get("content-type"), "image/png");
    assert.deepEqual((await picture.bytes()).subarray(1, 4), new TextEncoder().encode("PNG"));
  }
  assert.equal(stand.agent.calls.filter(({ method }) => method === "screenshot").length, 1);
  const user = await stand.dashboard.as("alice");
  const forbidden = await user.fetch(`/api/machines/${id}/screenshot`);
  assert.equal(forbidden.status, 403);
  await forbidden.body?.cancel();
});

Deno.test("changes are audited with who made them", async () => {
  await using stand = await MachinesStand.start();
  const { initial } = await stand.tree(1);
  await stand.api.call("updateMachine", { id: initial.id, body: { maintenance: true } });
  const { items } = await stand.api.call("listAudit", { query: { subjectId: initial.id } });
  assert.deepEqual(items.map(({ action, actor }) => [action, actor]), [
    ["machine.update", "admin"],
    ["machine.create", "admin"],
  ]);
});
