/** What the jobs on images do. */
import type { App } from "../app.ts";
import { runCopyDisk, settleCopyDisk } from "./copy_disk.ts";
import { runDistribution } from "./distribute.ts";
import { runDeletion } from "./gc.ts";
import { runPopulate, settlePopulate } from "./populate.ts";
import { runPublication } from "./publish.ts";
import { settleSeal } from "./seal.ts";
import { runSeal } from "./seal_version.ts";

/** Says it to the jobs, before any is taken up. All of them go on after a restart of the dashboard. */
export function defineImageJobs(app: App): void {
  const { jobs } = app;
  jobs.define("copy-disk", {
    settle: (ended) => settleCopyDisk(app, ended),
    run: (operation) => runCopyDisk(app, operation),
    resumable: true,
  });
  jobs.define("seal", {
    settle: (ended) => settleSeal(app, ended),
    run: (operation) => runSeal(app, operation),
    resumable: true,
  });
  jobs.define("populate", {
    settle: (ended) => settlePopulate(app, ended),
    run: (operation) => runPopulate(app, operation),
    resumable: true,
  });
  jobs.define("distribute", { run: (operation) => runDistribution(app, operation), resumable: true });
  jobs.define("publish", { run: (operation) => runPublication(app, operation), resumable: true });
  jobs.define("delete-image", { run: (operation) => runDeletion(app, operation), resumable: true });
}
