/** Versions and chains under random interleavings, on two hypervisors: what backs clones stays as it is, and stays. */
import assert from "node:assert/strict";
import { AppError } from "../../contracts/errors.ts";
import fc from "fast-check";
import { collectVersions } from "../../server/images/gc.ts";
import { CallError } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import type { FakeAgent } from "../support/fake_agent.ts";
import { sha256Of } from "../support/fake_files.ts";
import { ImagesStand } from "../support/images_stand.ts";

const cloneCount = 3;
const clone = fc.nat({ max: cloneCount - 1 });
const user = fc.nat({ max: 1 });
const host = fc.nat({ max: 1 });
/** Of the versions that there are, newest first. */
const nth = fc.nat({ max: 3 });
const mode = fc.constantFrom("now" as const, "rolling" as const);
const does = <T extends string, R extends object>(what: T, rest: { [K in keyof R]: fc.Arbitrary<R[K]> }) =>
  fc.record({ do: fc.constant(what), ...rest }) as fc.Arbitrary<{ do: T } & R>;

const action = fc.oneof(
  { weight: 4, arbitrary: does("copy", { seal: fc.boolean() }) },
  { weight: 2, arbitrary: does("boot", { snapshot: fc.boolean() }) },
  { weight: 2, arbitrary: does("shut", {}) },
  { weight: 3, arbitrary: does("seal", { nth }) },
  { weight: 2, arbitrary: does("unseal", { nth }) },
  { weight: 5, arbitrary: does("publish", { nth, mode }) },
  { weight: 1, arbitrary: does("leave", {}) },
  { weight: 2, arbitrary: does("populate", { clone }) },
  { weight: 1, arbitrary: does("populate-all", {}) },
  {
    weight: 2,
    arbitrary: does("power", { clone, action: fc.constantFrom("start" as const, "destroy" as const) }),
  },
  { weight: 3, arbitrary: does("get", { user }) },
  { weight: 3, arbitrary: does("end", { user }) },
  { weight: 3, arbitrary: does("delete", { nth }) },
  { weight: 1, arbitrary: does("collect", {}) },
  { weight: 1, arbitrary: does("distribute", { nth, host }) },
  { weight: 1, arbitrary: does("offline", { host }) },
  { weight: 2, arbitrary: does("online", {}) },
  { weight: 2, arbitrary: does("cancel", {}) },
  {
    weight: 2,
    arbitrary: does("fail", {
      host,
      method: fc.constantFrom(
        "startJob" as const,
        "setDisk" as const,
        "deleteFiles" as const,
        "power" as const,
      ),
    }),
  },
  { weight: 1, arbitrary: does("restart-agent", { host }) },
  { weight: 3, arbitrary: does("wait", {}) },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  { weight: 8, arbitrary: fc.array(action, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

interface World {
  stand: ImagesStand;
  poolId: string;
  clock: { now: number };
  offline: Set<number>;
}

async function perform(world: World, act: Action): Promise<void> {
  try {
    await carryOut(world, act);
  } catch (error) {
    const refusal = error instanceof CallError || error instanceof AppError;
    if (!refusal || error.code === "internal") throw error;
  }
}

async function carryOut(world: World, act: Action): Promise<unknown> {
  const { stand } = world;
  const { api, initial } = stand;
  switch (act.do) {
    case "copy":
      return await api.call("copyDisk", { id: initial.id, body: { seal: act.seal } });
    case "boot":
      await api.call("updateMachine", { id: initial.id, body: { virtualSnapshot: act.snapshot } });
      return await stand.power(initial.id, "start");
    case "shut":
      return await stand.power(initial.id, "destroy");
    case "seal":
      return await api.call("sealVersion", { id: await versionId(world, act.nth) });
    case "unseal":
      return await api.call("unsealVersion", { id: await versionId(world, act.nth) });
    case "publish": {
      const body = { mode: act.mode, countdownSeconds: 0 };
      return await api.call("publishVersion", { id: await versionId(world, act.nth), body });
    }
    case "leave":
      return await api.call("cancelRollout", { id: initial.id });
    case "populate":
      return await api.call("populate", { id: stand.vdis[act.clone]!.id });
    case "populate-all":
      return await api.call("populate", { id: initial.id });
    case "power":
      return await stand.power(stand.vdis[act.clone]!.id, act.action);
    case "get": {
      const client = await stand.dashboard.as(`user${act.user}`);
      return await client.call("getDesktop", { body: { desktopPoolId: world.poolId } });
    }
    case "end": {
      const client = await stand.dashboard.as(`user${act.user}`);
      const { items } = await client.call("listMyDesktops");
      return await Promise.all(items.map(({ id }) => client.call("endMyDesktop", { id })));
    }
    case "delete":
      return await api.call("deleteVersion", { id: await versionId(world, act.nth) });
    case "collect":
      world.clock.now += 3600_000;
      return await collectVersions(stand.dashboard.app);
    case "distribute": {
      const body = { hypervisorIds: [stand.hypervisorIds[act.host]!] };
      return await api.call("distributeVersion", { id: await versionId(world, act.nth), body });
    }
    case "offline":
      world.offline.add(act.host);
      return stand.agents[act.host]!.goOffline();
    case "online":
      return comeBack(world);
    case "cancel": {
      const [job] = stand.dashboard.app.jobs.listOpen().filter(({ cancellable }) => cancellable);
      return job && await api.call("cancelJob", { id: job.id });
    }
    case "fail":
      return stand.agents[act.host]!.failNext(act.method, new AppError("hypervisor_failed", "no luck"));
    case "restart-agent":
      world.offline.delete(act.host);
      return stand.agents[act.host]!.restart();
    case "wait":
      return await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function comeBack({ stand, offline }: World): void {
  for (const index of offline) stand.agents[index]!.comeBack();
  offline.clear();
}

async function versionId({ stand }: World, nth: number): Promise<string> {
  const { versions } = await stand.image();
  const version = versions[nth % versions.length];
  if (!version) throw new AppError("not_found", "there is no version now");
  return version.id;
}

const isSame = (a: FakeAgent, b: FakeAgent) => a === b || a.files.all === b.files.all;

/** Notes every write to a file on which something is based at that moment. */
function watchWrites(agents: readonly FakeAgent[]): string[] {
  const broken: string[] = [];
  for (const agent of agents) {
    const write = agent.files.write.bind(agent.files);
    agent.files.write = (path) => {
      for (const other of agents.filter((one) => isSame(one, agent))) {
        for (const { name } of other.files.basedOn(path)) broken.push(`${path} was written below ${name}`);
      }
      if (agent.files.all.get(path)?.sealed) broken.push(`${path} was written although it is sealed`);
      write(path);
    };
  }
  return broken;
}

/** What must hold at any time, whatever is going on. */
async function checkAlways({ stand }: World, broken: readonly string[]): Promise<void> {
  assert.deepEqual(broken, []);
  const { db } = stand.dashboard.app;
  const versions = await db.selectFrom("image_versions").selectAll().execute();
  const copies = await db.selectFrom("image_copies").selectAll().execute();
  for (const [index, agent] of stand.agents.entries()) {
    for (const { name, disks } of agent.domains.values()) {
      for (const { path, virtualBytes, backingPath } of disks) {
        if (path === null || virtualBytes === null) continue;
        for (const file of agent.files.chain(path)) {
          assert.ok(agent.files.has(file), `${name}: ${file} is missing`);
        }
        if (backingPath === null) continue;
        const copy = copies.find((one) =>
          one.hypervisor_id === stand.hypervisorIds[index] && one.path === backingPath
        );
        assert.ok(copy, `${name} lies on a file that is no version: ${backingPath}`);
        const version = versions.find(({ id }) => id === copy.version_id);
        assert.equal(version?.state, "sealed", `${name} lies on version ${version?.number}`);
      }
    }
    for (
      const { path, version_id, state } of copies.filter((one) =>
        one.hypervisor_id === stand.hypervisorIds[index]
      )
    ) {
      const sha256 = versions.find(({ id }) => id === version_id)?.sha256;
      const file = agent.files.all.get(path);
      if (!sha256 || !file || state !== "present") continue;
      assert.equal(sha256Of(file.content), sha256, `${path} is as it was when it was sealed`);
    }
  }
}

/** Once nothing goes on any more, what the dashboard says is what the hypervisors have. */
async function checkSettled(world: World): Promise<void> {
  const { stand } = world;
  const { app } = stand.dashboard;
  await settle(world);
  await eventually("rows agree with overlays", async () => {
    const copies = await app.db.selectFrom("image_copies").selectAll().execute();
    for (const { id } of stand.vdis) {
      const row = await app.db.selectFrom("machines").selectAll().where("id", "=", id)
        .executeTakeFirstOrThrow();
      const copy = copies.find((one) =>
        one.version_id === row.version_id && one.hypervisor_id === row.hypervisor_id
      );
      if (!copy || copy.path !== stand.baseOf(stand.vdis.find((vdi) => vdi.id === id)!)) return false;
    }
    const agentOf = (hypervisorId: string) => stand.agents[stand.hypervisorIds.indexOf(hypervisorId)]!;
    return copies.every(({ state, path, hypervisor_id }) =>
      state !== "present" || agentOf(hypervisor_id).files.has(path)
    );
  });
}

/** Everybody is online, nobody works, and every job has ended. */
async function settle(world: World): Promise<void> {
  const { stand } = world;
  const { app } = stand.dashboard;
  comeBack(world);
  await stand.online();
  for (;;) {
    const open = app.jobs.listOpen();
    if (open.length === 0) return;
    const jobs = Promise.all(open.map(({ id }) => app.jobs.ended(id, AbortSignal.timeout(20_000))));
    await jobs.catch((error) => {
      throw new Error(`never ended: ${open.map(({ kind, stage }) => `${kind} (${stage})`)}`, {
        cause: error,
      });
    });
  }
}

/** When nobody is in the way, everybody gets to the version that is published. */
async function checkProgress(world: World): Promise<void> {
  const { stand } = world;
  for (const name of ["user0", "user1"]) {
    const client = await stand.dashboard.as(name);
    for (const { id } of (await client.call("listMyDesktops")).items) {
      await client.call("endMyDesktop", { id });
    }
  }
  for (const agent of stand.agents) {
    // Failures that were asked for and have not happened.
    for (const method of ["startJob", "setDisk", "deleteFiles", "power"] as const) agent.failNever(method);
  }
  await settle(world);
  await stand.power(stand.initial.id, "destroy");
  const versions = (await stand.image()).versions.filter(({ state }) => state !== "copying");
  const { number } = versions.at(-1)!;
  await stand.succeeded(await stand.publish(number));
  assert.deepEqual(await stand.numbers(), stand.vdis.map(() => number));
}

async function restart(world: World): Promise<void> {
  const { stand } = world;
  stand.dashboard = await stand.dashboard.restart();
  for (const [index, id] of stand.hypervisorIds.entries()) {
    if (!world.offline.has(index)) {
      await stand.dashboard.app.agents.untilUsable(id, AbortSignal.timeout(10_000));
    }
  }
}

for (const shared of [false, true]) {
  const where = shared ? "on shared storage" : "on disks of their own";
  Deno.test(`no base is written, lost or confused under any interleaving, ${where}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), async (steps) => {
        const clock = { now: Date.now() };
        await using stand = await ImagesStand.start({
          clones: [2, 1],
          shared,
          agent: { copyMs: 10, populateMs: 2, bootMs: 2, shutdownMs: 2 },
          now: () => clock.now,
        });
        await stand.api.call("updateSettings", { body: { keepImageVersions: 1, keepImageDays: 0 } });
        const world: World = { stand, poolId: await makePool(stand), clock, offline: new Set() };
        const broken = watchWrites(stand.agents);
        for (const one of steps) {
          if (one === "restart") await restart(world);
          else await Promise.all(one.map((act) => perform(world, act)));
          await checkAlways(world, broken);
        }
        await checkSettled(world);
        await checkProgress(world);
        await checkAlways(world, broken);
      }),
      { numRuns: 12, interruptAfterTimeLimit: 45_000 },
    );
  });
}

async function makePool(stand: ImagesStand): Promise<string> {
  const users = await Promise.all(["user0", "user1"].map((name) => stand.dashboard.as(name)));
  const { desktopPool: { id } } = await stand.api.call("createDesktopPool", {
    body: { name: "Lab", policy: { afterUse: "reset", returnAfterMinutes: 60 } },
  });
  await stand.api.call("putPoolMachines", { id, body: { machineIds: stand.vdis.map((vdi) => vdi.id) } });
  await stand.api.call("putEntitlements", { id, body: { userIds: users.map(({ userId }) => userId) } });
  return id;
}
