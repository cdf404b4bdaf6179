import type { App } from "../app.ts";
import { renderHypervisors } from "../hypervisors/service.ts";
import { renderLeases, renderMyDesktop, renderMyDesktops } from "../leases/render.ts";
import { renderMachines } from "../machines/service.ts";
import { allDesktopPools, readOverview } from "../overview/service.ts";
import type { EventSources } from "./hub.ts";

/** How the features render what the event stream tells. */
export const eventSources = (app: App): EventSources => ({
  machines: (ids) => renderMachines(app, ids),
  hypervisors: (ids) => renderHypervisors(app, ids),
  desktopPools: () => allDesktopPools(app),
  leases: (ids) => renderLeases(app, ids),
  myDesktop: (leaseId) => renderMyDesktop(app, leaseId),
  myDesktops: (userId) => renderMyDesktops(app, userId),
  openJobs: async () => (await app.jobs.list({ limit: 500, open: true })).items,
  overview: () => readOverview(app),
  runningOn: (hypervisorId) =>
    app.agents.domains(hypervisorId).filter(({ managed, state }) => managed && state === "running")
      .map(({ id }) => id),
});
