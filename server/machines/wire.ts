/** What machines need to live: the jobs' behaviour, rows that follow the agents, and the connections themselves. */
import { settleCopyDisk } from "../images/copy_disk.ts";
import { settlePopulate } from "../images/populate.ts";
import type { App } from "../app.ts";
import { addressOf, listHypervisorRows } from "../hypervisors/service.ts";
import { runBulk } from "./bulk.ts";
import { forgetMachine, runCreation, settleCreation } from "./create.ts";
import { settleDeletion } from "./delete.ts";
import { followDomains, recordDomains } from "./live.ts";

/** Says what the jobs on machines do. Before `startMachines`. */
export function defineMachineJobs(app: App): void {
  const { jobs } = app;
  jobs.define("create-machine", { settle: (ended) => settleCreation(app, ended) });
  jobs.define("create-machines", { run: (operation) => runCreation(app, operation), resumable: true });
  jobs.define("delete-machine", {
    settle: (ended) => settleDeletion(app, ended),
    // Carried out here only when the machine is forgotten because its hypervisor is gone.
    run: ({ job }) => forgetMachine(app, job.subjectId!),
    resumable: true,
  });
  jobs.define("copy-disk", { settle: (ended) => settleCopyDisk(app, ended) });
  jobs.define("populate", { settle: (ended) => settlePopulate(app, ended) });
  jobs.define("bulk", { run: (operation) => runBulk(app, operation) });
}

/**
 * Takes up open jobs and connects to every hypervisor. Call it once all kinds of jobs are defined; returns what ends it
 * all again: connections first, so that nothing changes any more, then the jobs, then the last rows.
 */
export async function startMachines(app: App): Promise<() => Promise<void>> {
  defineMachineJobs(app);
  const unfollow = followDomains(app);
  const hypervisors = await listHypervisorRows(app);
  app.agents.start(hypervisors.map(addressOf));
  // Until an agent has told, nothing is known.
  for (const { id } of hypervisors) await recordDomains(app, id, null);
  await app.jobs.recover();
  return async () => {
    await app.jobs.stop();
    await app.agents.stop();
    await unfollow();
  };
}
