import type { App } from "../app.ts";
import type { Handlers } from "../http/endpoint.ts";
import { getMachine } from "../machines/service.ts";
import { runShaping } from "./files.ts";
import { deleteDataDisk, listDataDisks, putDataDisk } from "./service.ts";

export const dataDiskRoutes = (app: App): Handlers<"listDataDisks" | "deleteDataDisk" | "putDataDisk"> => ({
  listDataDisks: ({ query }) => listDataDisks(app, query),
  deleteDataDisk: ({ id, actor }) => deleteDataDisk(app, id, actor),
  putDataDisk: async ({ id, body, actor }) => {
    await putDataDisk(app, id, body.bytes, actor);
    return { machine: await getMachine(app, id) };
  },
});

/** Says what the jobs on data disks do. */
export function defineDataDiskJobs(app: App): void {
  app.jobs.define("create-data-disk", { run: (operation) => runShaping(app, operation), resumable: true });
}
