/** What the jobs on machines do. */
import type { App } from "../app.ts";
import { runBulk } from "./bulk.ts";
import { runCreation, settleCreation } from "./create.ts";
import { runDeletion, settleDeletion } from "./delete.ts";
import { runCopy } from "./copy.ts";
import { settleFlattening } from "./flatten.ts";
import { runMove } from "./move.ts";
import { settleResizing } from "./resize.ts";

/** Says it to the jobs, before any is taken up. */
export function defineMachineJobs(app: App): void {
  const { jobs } = app;
  jobs.define("create-machine", { settle: (ended) => settleCreation(app, ended) });
  jobs.define("create-machines", { run: (operation) => runCreation(app, operation), resumable: true });
  jobs.define("delete-machine", {
    settle: (ended) => settleDeletion(app, ended),
    run: (operation) => runDeletion(app, operation),
    resumable: true,
  });
  jobs.define("move-machine", { run: (operation) => runMove(app, operation), resumable: true });
  jobs.define("copy-machine", { run: (operation) => runCopy(app, operation), resumable: true });
  jobs.define("flatten", { settle: (ended) => settleFlattening(app, ended) });
  jobs.define("resize-disk", { settle: (ended) => settleResizing(app, ended) });
  jobs.define("bulk", { run: (operation) => runBulk(app, operation) });
}
