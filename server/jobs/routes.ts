import type { App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { Handlers } from "../http/endpoint.ts";

export const jobRoutes = (app: App): Handlers<"listJobs" | "getJob" | "cancelJob"> => ({
  listJobs: ({ query }) => app.jobs.list(query),
  getJob: async ({ id }) => ({ job: await app.jobs.get(id) }),
  cancelJob: async ({ id, actor }) => {
    const job = await app.jobs.cancel(id);
    await audit(app, {
      actor,
      action: "job.cancel",
      subjectId: job.subjectId,
      subjectName: job.subjectName,
      detail: job.kind,
    });
    return { job };
  },
});
