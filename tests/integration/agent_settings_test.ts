/** Directories and domain type of a running agent are changed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { requireSuccess, TestHypervisor } from "../support/hypervisor.ts";

const mib = 2 ** 20;

Deno.test("new machines follow a change of directories, files stay, and the agent still knows its own", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "b2-" });
  const { agent, events } = hypervisor;
  const source = await hypervisor.create({ name: "source", role: "source" }, {
    kind: "blank",
    bytes: 4 * mib,
  });
  const initial = await hypervisor.create({ name: "gold", role: "initial" }, { kind: "none" });
  requireSuccess(await events.runJob(agent, { kind: "copy-disk", fromId: source.id, toId: initial.id }));
  const vdi = await hypervisor.create({ name: "vdi", role: "vdi" }, { kind: "none" });
  const populate = { kind: "populate" as const, initialId: initial.id, machineIds: [vdi.id] };
  requireSuccess(await events.runJob(agent, populate));
  const diskOf = (id: string) => events.domains.get(id)?.disks[0]?.path ?? null;
  const before = { gold: diskOf(initial.id)!, vdi: diskOf(vdi.id)! };

  const imageDir = join(hypervisor.dir, "elsewhere", "images");
  const scratchDir = join(hypervisor.dir, "elsewhere", "scratch");
  const settings = await agent.changeSettings({ imageDir, scratchDir });
  assert.deepEqual([settings.imageDir, settings.isoDir], [imageDir, hypervisor.isoDir]);
  await events.until(
    "facts tell it",
    () => events.all.some((event) => event.type === "facts" && event.facts.settings.imageDir === imageDir),
  );
  assert.equal(diskOf(initial.id), before.gold);
  const { items } = await agent.deleteFiles([before.gold, before.vdi]);
  assert.deepEqual(items.map(({ deleted }) => deleted), [false, false], "files in use could be deleted");
  requireSuccess(await events.runJob(agent, { kind: "copy-disk", fromId: source.id, toId: initial.id }));
  assert.ok(diskOf(initial.id)!.startsWith(`${imageDir}/`), diskOf(initial.id)!);
  assert.match(diskOf(initial.id)!, /\.v[23]\.qcow2$/, "the former version was not seen");
  assert.ok((await hypervisor.files(hypervisor.imageDir)).some((name) => before.gold.endsWith(name)));
  requireSuccess(await events.runJob(agent, populate));
  assert.ok(diskOf(vdi.id)!.startsWith(`${imageDir}/`), diskOf(vdi.id)!);
  await assert.rejects(Deno.stat(before.vdi), Deno.errors.NotFound);

  await hypervisor.stopAgent();
  await hypervisor.startAgent();
  await hypervisor.events.until(
    "the settings are still there",
    () =>
      hypervisor.events.all.some((event) =>
        event.type === "snapshot" && event.facts.settings.imageDir === imageDir
      ),
  );
  requireSuccess(await hypervisor.events.runJob(agent, { kind: "delete-machine", machineId: vdi.id }));
  requireSuccess(await hypervisor.events.runJob(agent, { kind: "delete-machine", machineId: initial.id }));
  assert.deepEqual(await hypervisor.files(imageDir), []);
  assert.ok(!(await hypervisor.files(hypervisor.imageDir)).some((name) => before.gold.endsWith(name)));
});

Deno.test("a machine on a virtual snapshot keeps it over a change of the scratch directory, and it is dropped", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "b2-" });
  const { agent, events } = hypervisor;
  const { id } = await hypervisor.create({ name: "vs" }, { kind: "blank", bytes: 4 * mib });
  await agent.power(id, { action: "start", virtualSnapshot: true });
  assert.equal((await hypervisor.files(hypervisor.scratchDir)).length, 1);
  await agent.changeSettings({ scratchDir: join(hypervisor.dir, "scratch2") });
  await agent.edit(id, { iso: null });
  assert.equal(events.domains.get(id)?.virtualSnapshot, true);
  await agent.power(id, { action: "destroy" });
  await eventually(
    "the scratch is dropped",
    async () => (await hypervisor.files(hypervisor.scratchDir)).length === 0,
  );
});

Deno.test("the domain type can be changed; directories that cannot be used are refused with the field", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "b2-" });
  const { agent } = hypervisor;
  const { domainType } = await agent.changeSettings({ domainType: "kvm" });
  assert.equal(domainType, "kvm");
  await hypervisor.events.until(
    "facts tell it",
    () => hypervisor.events.all.some((event) => event.type === "facts" && event.facts.domainType === "kvm"),
  );

  const closed = join(hypervisor.dir, "closed");
  await Deno.mkdir(closed, { mode: 0o700 });
  const file = join(hypervisor.dir, "file");
  await Deno.writeTextFile(file, "");
  const link = join(hypervisor.dir, "link");
  await Deno.symlink("/etc", link);
  for (
    const [path, message] of [
      [join(closed, "images"), /QEMU's user cannot get through .*chmod o\+x/],
      [join(file, "images"), /cannot be made or written to/],
      ["/etc/images", /a directory of the system/],
      [link, /a directory of the system/],
      ["/", /a directory of the system/],
    ] as const
  ) {
    await assert.rejects(
      agent.changeSettings({ imageDir: path }),
      (error: { code: string; message: string; details: { path: string }[] }) => {
        assert.equal(error.code, "invalid");
        assert.match(error.message, message);
        assert.equal(error.details[0]!.path, "imageDir");
        return true;
      },
    );
  }
});

Deno.test("directories are not changed under a running job", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "b2-" });
  const { agent, events } = hypervisor;
  const path = join(hypervisor.dir, "large.img");
  using large = await Deno.open(path, { create: true, write: true });
  const noise = crypto.getRandomValues(new Uint8Array(65_536));
  for (let done = 0; done < 600 * mib; done += noise.length) await large.write(noise);
  const machine = hypervisor.spec("large", { role: "source" });
  const { id } = await agent.startJob({
    id: crypto.randomUUID(),
    operation: { kind: "create-machine", machine, disk: { kind: "import", path } },
  });
  await assert.rejects(agent.changeSettings({ imageDir: join(hypervisor.dir, "elsewhere") }), {
    code: "conflict",
    message: /a job is running/,
  });
  requireSuccess(await events.untilJobEnds(id, 60_000));
  await agent.changeSettings({ imageDir: join(hypervisor.dir, "elsewhere") });
});
