import assert from "node:assert/strict";
import type { Job } from "../../contracts/job.ts";
import { withJob } from "./live.ts";

const job = (id: number, state: Job["state"], patch: Partial<Job> = {}): Job => ({
  id: `00000000-0000-4000-8000-${String(id).padStart(12, "0")}`,
  kind: "populate",
  state,
  stage: "",
  done: 0,
  total: 1,
  unit: "items",
  subjectId: null,
  subjectName: `job ${id}`,
  error: null,
  items: [],
  cancellable: false,
  requestedBy: null,
  createdAt: id,
  startedAt: null,
  endedAt: null,
  ...patch,
});

Deno.test("withJob() puts a new job first and changes a known one in its place", () => {
  const list = withJob(withJob([], job(1, "running")), job(2, "running"));
  assert.deepEqual(list.map((one) => one.createdAt), [2, 1]);
  const changed = withJob(list, job(1, "succeeded"));
  assert.deepEqual(changed.map((one) => one.state), ["running", "succeeded"]);
});

Deno.test("withJob() forgets old ended jobs, never open ones", () => {
  let list = [job(0, "running")];
  for (let id = 1; id <= 200; id++) list = withJob(list, job(id, "succeeded"));
  assert.ok(list.length <= 52, `${list.length} kept`);
  assert.ok(list.some((one) => one.createdAt === 0 && one.state === "running"));
  assert.equal(list[0]?.createdAt, 200);
});
