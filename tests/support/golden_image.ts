/** The way from the demo guest to desktops that users can have, in one call. */
import type { Machine } from "../../contracts/machine.ts";
import type { Stand } from "./stand.ts";

export interface GoldenImage {
  source: Machine;
  initial: Machine;
  vdis: Machine[];
}

/** Imports the demo guest as a source, copies it to an initial and populates `vdis` clones. */
export async function makeGoldenImage(stand: Stand, { vdis }: { vdis: number }): Promise<GoldenImage> {
  const admin = await stand.admin();
  const small = { vcpus: 1, memoryMiB: 192, network: "none" };
  const source = await admin.create({
    name: stand.name("source"),
    role: "source",
    disk: { kind: "import", path: await stand.demoImage() },
    ...small,
  });
  const initial = await admin.create({
    name: stand.name("initial"),
    role: "initial",
    sourceId: source.id,
    copyDisk: true,
  });
  const clones = await admin.createAll({
    name: stand.name("{n}"),
    count: vdis,
    role: "vdi",
    sourceId: initial.id,
    populate: true,
  });
  return { source, initial, vdis: clones };
}

export interface TestPool {
  id: string;
  password: string;
}

/** A desktop pool of these machines, and users who may use it. */
export async function makePool(
  stand: Stand,
  name: string,
  machineIds: string[],
  usernames: string[],
): Promise<TestPool> {
  const admin = await stand.admin();
  const password = "pass phrase of a user";
  const users = await Promise.all(
    usernames.map(async (username) =>
      (await admin.call("createUser", { body: { username, password } })).user.id
    ),
  );
  const { desktopPool } = await admin.call("createDesktopPool", { body: { name: `${stand.label}${name}` } });
  await admin.call("putPoolMachines", { id: desktopPool.id, body: { machineIds } });
  await admin.call("putEntitlements", { id: desktopPool.id, body: { userIds: users } });
  return { id: desktopPool.id, password };
}
