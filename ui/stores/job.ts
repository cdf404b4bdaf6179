import type { Job } from "../../contracts/job.ts";
import { call } from "../api.ts";
import { jobs } from "./live.ts";
import { type Loaded, useLoad } from "./load.ts";

/** One job, live: from the event stream while it tells of it, else asked for. Undefined until it is known. */
export function useJob(id: string): { job: Job | undefined; loaded: Loaded<{ job: Job }> } {
  const loaded = useLoad(id, (signal) => call("getJob", { params: { id }, signal }));
  return { job: jobs.value.find((one) => one.id === id) ?? loaded.value?.job, loaded };
}
