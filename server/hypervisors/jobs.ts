/** What the jobs on hypervisors themselves do. */
import type { App } from "../app.ts";
import { agentUpdate } from "./agent_update.ts";
import { enrolment } from "./enrol.ts";

/** Says it to the jobs, before any is taken up. */
export function defineHypervisorJobs(app: App): void {
  app.jobs.define("enrol-hypervisor", enrolment(app));
  app.jobs.define("update-agents", agentUpdate(app));
}
