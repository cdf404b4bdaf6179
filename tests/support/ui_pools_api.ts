/** Desktop pools and users of the in-memory API behind ui_server.ts. */
import { DesktopPoolPolicy } from "../../contracts/desktop_pool.ts";
import { AppError } from "../../contracts/errors.ts";
import { contains, page, requireById } from "./ui_api_parts.ts";
import type { Handlers } from "./ui_server.ts";
import { countMachines, noMachines, overviewOf, type World } from "./ui_world_parts.ts";

const verdicts = [
  "chosen: it runs already, on the hypervisor with the least load",
  "free, but its hypervisor is busier",
  "used by somebody else",
  "not offered: in maintenance",
  "its hypervisor is offline",
];

/** How the members of a pool stand, the chosen one first. */
export const reasonsOf = (
  world: World,
  machineIds: string[],
): { machineName: string; hypervisorName: string; verdict: string }[] =>
  machineIds.slice(0, 20).map((id, n) => {
    const machine = world.machines.find((one) => one.id === id);
    const host = world.hypervisors.find((one) => one.id === machine?.hypervisorId);
    return {
      machineName: machine?.name ?? "",
      hypervisorName: host?.name ?? "",
      verdict: verdicts[Math.min(n, n % 4 + 1)]!,
    };
  });

export const poolHandlers: Handlers = {
  listDesktopPools: ({ query }, world) =>
    page(world.pools.filter((one) => contains(query.q, one.name, one.description)), query),
  getDesktopPool: ({ id }, world) => ({ desktopPool: requireById(world.pools, id, "desktop pool") }),
  createDesktopPool: ({ body, server }, world) => {
    if (world.pools.some((one) => one.name === body.name)) {
      throw new AppError("conflict", `A desktop pool named ${body.name} exists.`, {
        details: [{ path: "name", message: "is taken" }],
      });
    }
    const desktopPool = {
      id: crypto.randomUUID(),
      name: body.name,
      description: body.description ?? "",
      enabled: body.enabled ?? true,
      policy: DesktopPoolPolicy.parse(body.policy ?? {}),
      counts: { ...noMachines },
      entitledUsers: 0,
      createdAt: Date.now(),
      machineIds: [],
      entitlements: { userIds: [], groupIds: [] },
    };
    world.pools.push(desktopPool);
    server.publish({ type: "overview", overview: overviewOf(world) });
    return { desktopPool };
  },
  updateDesktopPool: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    Object.assign(desktopPool, body, { policy: { ...desktopPool.policy, ...body.policy } });
    server.publish({ type: "desktop-pool", desktopPool });
    return { desktopPool };
  },
  deleteDesktopPool: ({ id, server }, world) => {
    world.pools = world.pools.filter((one) => one.id !== id);
    server.publish({ type: "desktop-pool-removed", id });
  },
  putPoolMachines: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    desktopPool.machineIds = body.machineIds;
    for (const machine of world.machines) {
      machine.desktopPools = machine.desktopPools.filter((pool) => pool.id !== id);
      if (body.machineIds.includes(machine.id)) machine.desktopPools.push({ id, name: desktopPool.name });
    }
    countMachines(world);
    server.publish({ type: "desktop-pool", desktopPool });
    return { desktopPool };
  },
  putEntitlements: ({ id, body, server }, world) => {
    const desktopPool = requireById(world.pools, id, "desktop pool");
    desktopPool.entitlements = { userIds: body.userIds, groupIds: body.groupIds ?? [] };
    for (const user of world.users) {
      user.desktopPools = user.desktopPools.filter((pool) => pool.id !== id);
      if (body.userIds.includes(user.id)) user.desktopPools.push({ id, name: desktopPool.name });
    }
    countMachines(world);
    server.publish({ type: "overview", overview: overviewOf(world) });
    return { desktopPool };
  },
  explainAllocation: ({ id, query }, world) => {
    const pool = requireById(world.pools, id, "desktop pool");
    const none = { machineId: null, reasons: [] };
    if (!pool.enabled) return { ...none, explanation: `${pool.name} is switched off. Enable it.` };
    if (!pool.entitlements.userIds.includes(query.userId)) {
      return {
        ...none,
        explanation: "The user is not entitled to this desktop pool. Add an entitlement.",
      };
    }
    return {
      machineId: pool.machineIds[0] ?? null,
      explanation:
        "The machine is free, populated, not in maintenance, and its hypervisor has the least load.",
      reasons: reasonsOf(world, pool.machineIds),
    };
  },

  listUsers: ({ query }, world) =>
    page(
      world.users.filter((one) =>
        contains(query.q, one.username, one.displayName) && (!query.role || one.role === query.role) &&
        (!query.desktopPoolId || one.desktopPools.some((pool) => pool.id === query.desktopPoolId))
      ),
      query,
    ),
  getUser: ({ id }, world) => ({ user: requireById(world.users, id, "user") }),
  createUser: ({ body, server }, world) => {
    if (world.users.some((one) => one.username === body.username)) {
      throw new AppError("conflict", `A user named ${body.username} exists.`, {
        details: [{ path: "username", message: "is taken" }],
      });
    }
    const user = {
      id: crypto.randomUUID(),
      username: body.username,
      displayName: body.displayName ?? "",
      role: body.role ?? "user" as const,
      disabled: false,
      lockedUntil: null,
      desktopPools: [],
      lastSignInAt: null,
      createdAt: Date.now(),
    };
    world.users.push(user);
    server.publish({ type: "user", id: user.id });
    return { user };
  },
  updateUser: ({ id, body, server }, world) => {
    const user = requireById(world.users, id, "user");
    const { unlock, password: _, ...rest } = body;
    Object.assign(user, rest, unlock ? { lockedUntil: null } : {});
    server.publish({ type: "user", id });
    return { user };
  },
  deleteUser: ({ id, server }, world) => {
    world.users = world.users.filter((one) => one.id !== id);
    server.publish({ type: "user", id });
  },
  listGroups: ({ query }) => page([], query),
};
