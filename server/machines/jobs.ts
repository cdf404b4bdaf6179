/** What the jobs on machines do. */
import { settleCopyDisk } from "../images/copy_disk.ts";
import { settlePopulate } from "../images/populate.ts";
import type { App } from "../app.ts";
import { runBulk } from "./bulk.ts";
import { forgetMachine, runCreation, settleCreation } from "./create.ts";
import { settleDeletion } from "./delete.ts";

/** Says it to the jobs, before any is taken up. */
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
