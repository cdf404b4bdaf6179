import type { DesktopPool } from "../../contracts/desktop_pool.ts";
import type { Overview } from "../../contracts/settings.ts";
import type { App } from "../app.ts";
import { listDesktopPools } from "../desktop_pools/service.ts";
import { renderHypervisors } from "../hypervisors/service.ts";
import { countMachines, countRest } from "./store.ts";
import { findWarnings } from "./warnings.ts";

const dayMs = 86_400_000;

/** Can the users work right now? What the first page shows. */
export async function readOverview(app: App): Promise<Overview> {
  const [hypervisors, desktopPools, counted, rest] = await Promise.all([
    renderHypervisors(app),
    allDesktopPools(app),
    countMachines(app.db),
    countRest(app.db, app.now() - dayMs),
  ]);
  const byRole = { simple: 0, source: 0, initial: 0, vdi: 0 };
  for (const { role, count } of counted) byRole[role] += count;
  const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
  const ofPools = (key: "inUse" | "starting" | "free" | "total") =>
    sum(desktopPools.map(({ counts }) => counts[key]));
  return {
    machines: {
      total: sum(Object.values(byRole)),
      running: sum(counted.map(({ running, count }) => running ? count : 0)),
      byRole,
    },
    desktops: {
      inUse: ofPools("inUse"),
      starting: ofPools("starting"),
      free: ofPools("free"),
      total: ofPools("total"),
    },
    desktopPoolCount: rest.desktopPools,
    userCount: rest.users,
    entitlementCount: rest.entitlements,
    runningJobs: rest.runningJobs,
    failedJobs24h: rest.failedJobs,
    warnings: findWarnings({
      hypervisors,
      desktopPools,
      failedJobs24h: rest.failedJobs,
      certificateExpiresAt: app.certificateExpiresAt(),
      now: app.now(),
    }),
  };
}

/** Every desktop pool with its counts; there are few. */
export async function allDesktopPools(app: App): Promise<DesktopPool[]> {
  return (await listDesktopPools(app, { limit: 500 })).items;
}
