/** All features: what they answer, and what their jobs do. */
import type { Hono } from "hono";
import type { App } from "./app.ts";
import { auditRoutes } from "./audit/routes.ts";
import { dataDiskRoutes, defineDataDiskJobs } from "./data_disks/routes.ts";
import { desktopPoolRoutes } from "./desktop_pools/routes.ts";
import type { Env, Handlers } from "./http/endpoint.ts";
import { loadRoutes } from "./hypervisors/load_routes.ts";
import { defineHypervisorJobs } from "./hypervisors/jobs.ts";
import { hypervisorRoutes } from "./hypervisors/routes.ts";
import { defineImageJobs } from "./images/jobs.ts";
import { imageRoutes } from "./images/routes.ts";
import { jobRoutes } from "./jobs/routes.ts";
import { leaseRoutes, myDesktopRoutes } from "./leases/routes.ts";
import { machinePlainRoutes, machineRoutes } from "./machines/routes.ts";
import { defineMachineJobs } from "./machines/jobs.ts";
import { overviewRoutes } from "./overview/routes.ts";
import { searchRoutes } from "./search/routes.ts";
import { settingsRoutes } from "./settings/routes.ts";
import { defineScheduledJobs } from "./starts/scheduled_jobs.ts";
import { setupRoutes } from "./setup/routes.ts";
import { storagePlainRoutes, storageRoutes } from "./storage/routes.ts";
import { uploadPlainRoutes, uploadRoutes } from "./uploads/routes.ts";
import { userRoutes } from "./users/routes.ts";
import { sessionRoutes } from "./users/session_routes.ts";

/** A handler for every endpoint; the compiler says which are missing. */
export const allHandlers = (app: App): Handlers => ({
  ...setupRoutes(app),
  ...sessionRoutes(app),
  ...hypervisorRoutes(app),
  ...loadRoutes(app),
  ...imageRoutes(app),
  ...machineRoutes(app),
  ...jobRoutes(app),
  ...desktopPoolRoutes(app),
  ...leaseRoutes(app),
  ...myDesktopRoutes(app),
  ...userRoutes(app),
  ...auditRoutes(app),
  ...settingsRoutes(app),
  ...overviewRoutes(app),
  ...searchRoutes(app),
  ...storageRoutes(app),
  ...uploadRoutes(app),
  ...dataDiskRoutes(app),
});

/** Answers that are not JSON. */
export const plainRoutes = (app: App): Hono<Env> =>
  machinePlainRoutes(app).route("/", storagePlainRoutes(app)).route("/", uploadPlainRoutes(app));

/** Says what the jobs of each kind do; before any job is taken up. */
export function defineJobs(app: App): void {
  defineMachineJobs(app);
  defineScheduledJobs(app);
  defineImageJobs(app);
  defineHypervisorJobs(app);
  defineDataDiskJobs(app);
}
