/** Tells the user how the jobs ended that were started on this page. */
import { isOpenJob, type Job } from "../../contracts/job.ts";
import { onEvent } from "../events.ts";
import { applyLive } from "./live.ts";
import { toast } from "./toasts.ts";

const followed = new Map<string, string>();

/** Shows the job among the running ones now, and a notice when it ends. `success` is what to say then. */
export function followJob(job: Job, success: string): void {
  followed.set(job.id, success);
  applyLive({ type: "job", job });
  if (!isOpenJob(job)) announce(job);
}

function announce(job: Job): void {
  const success = followed.get(job.id);
  if (success === undefined || isOpenJob(job)) return;
  followed.delete(job.id);
  const link = { href: `/jobs?job=${job.id}`, text: "Details" };
  const failedItems = job.items.filter((item) => !item.ok).length;
  if (job.state === "succeeded" && failedItems === 0) return toast({ variant: "success", title: success });
  if (job.state === "succeeded") {
    return toast({ variant: "warning", title: `${success}, but ${failedItems} failed`, link });
  }
  if (job.state === "cancelled") return toast({ variant: "info", title: `Cancelled: ${job.subjectName}` });
  toast({
    variant: "danger",
    title: `Failed: ${job.subjectName}`,
    detail: job.error?.message ?? "The dashboard was restarted while it ran.",
    link,
  });
}

onEvent((event) => event.type === "job" && announce(event.job));
