/** A user's own desktops, and those that were lost, in the in-memory API behind ui_server.ts. No screen: connecting is refused. */
import { AppError } from "../../contracts/errors.ts";
import type { Lease } from "../../contracts/desktop.ts";
import { requireById } from "./ui_api_parts.ts";
import type { Handlers, UiServer } from "./ui_server.ts";

const ownLeases = (server: UiServer): Lease[] =>
  server.world.leases.filter((lease) => lease.userId === server.userId && lease.endedAt === null);

export const portalHandlers: Handlers = {
  listMyDesktopPools: ({ server }, world) => ({
    items: world.pools.filter((pool) => pool.entitlements.userIds.includes(server.userId ?? "")).map(
      (pool) => {
        const own = ownLeases(server).find(({ desktopPoolId }) => desktopPoolId === pool.id);
        const full = pool.counts.free === 0;
        return {
          id: pool.id,
          name: pool.name,
          description: pool.description,
          availability: own ? "yours" as const : full ? "full" as const : "ready" as const,
          reason: !own && full
            ? `All ${pool.counts.total} desktops are in use or without room. Try again when somebody leaves.`
            : null,
          freeCount: pool.counts.free,
          userPower: true,
          desktopId: own?.id ?? null,
        };
      },
    ),
  }),
  listMyDesktops: ({ server }) => ({ items: ownLeases(server) }),
  getDesktop: ({ body, server }) => {
    const own = ownLeases(server).find(({ desktopPoolId }) => desktopPoolId === body.desktopPoolId);
    if (!own) {
      throw new AppError("no_capacity", "Nothing is free now: all hypervisors are full. Try again later.");
    }
    return { desktop: own };
  },
  getMyDesktop: ({ id, server }) => ({ desktop: requireById(ownLeases(server), id, "desktop") }),
  heartbeat: ({ id, server }) => ({
    state: requireById(ownLeases(server), id, "desktop").state,
    intervalSeconds: 30,
  }),
  releaseMachine: ({ id, server }, world) => {
    const machine = requireById(world.machines, id, "machine");
    machine.keptFor = null;
    server.publish({ type: "machine", machine });
    return { machine };
  },
  connectMyDesktop: () => {
    throw new AppError("unavailable", "This test has no screens.");
  },
};
