import assert from "node:assert/strict";
import type { ImageVersion } from "../../../contracts/image.ts";
import { behindCount, isRollBack, mainActionOf, standingOf, whyKept } from "./image_words.ts";

const version = (number: number, patch: Partial<ImageVersion> = {}): ImageVersion => ({
  id: String(number),
  initialId: "1",
  number,
  state: "sealed",
  current: false,
  booted: false,
  pinned: false,
  sha256: null,
  virtualBytes: 1,
  note: "",
  createdAt: 1,
  createdBy: null,
  sealedAt: null,
  publishedAt: null,
  machineCount: 0,
  copies: [],
  jobId: null,
  ...patch,
});
const imageOf = (...versions: ImageVersion[]) => ({
  id: "1",
  name: "lab",
  hypervisorId: "hv",
  sourceId: null,
  sourceName: null,
  currentVersionId: null,
  cloneCount: 0,
  versions,
  rollout: null,
  checklist: [],
});

Deno.test("standingOf() tells what a version is to the current one", () => {
  const image = imageOf(
    version(4, { state: "draft" }),
    version(3),
    version(2, { current: true }),
    version(1),
  );
  assert.deepEqual(image.versions.map((one) => standingOf(image, one)), [
    "draft",
    "sealed",
    "current",
    "old",
  ]);
});

Deno.test("an older version is rolled back to, a newer one is published, also after a roll back", () => {
  const image = imageOf(version(3), version(2, { current: true }), version(1));
  assert.deepEqual(image.versions.map((one) => mainActionOf(image, one)), ["publish", null, "roll-back"]);
  assert.equal(isRollBack(imageOf(version(1)), version(1)), false);
});

Deno.test("a version offers nothing while a job works on it", () => {
  const draft = version(1, { state: "draft", jobId: "job" });
  assert.equal(mainActionOf(imageOf(draft), draft), null);
  assert.equal(mainActionOf(imageOf(draft), { ...draft, jobId: null }), "seal");
});

Deno.test("the current version offers to bring over the desktops that are behind", () => {
  const current = version(2, { current: true, machineCount: 3 });
  const image = imageOf(current, version(1, { machineCount: 2 }));
  assert.equal(behindCount(image), 2);
  assert.equal(mainActionOf(image, current), "publish-again");
});

Deno.test("whyKept() says why a version can't be deleted and what to do", () => {
  const current = version(2, { current: true });
  const used = version(1, { machineCount: 1 });
  const image = imageOf(current, used);
  assert.match(whyKept(image, current) ?? "", /publish another one first/);
  assert.match(whyKept(image, used) ?? "", /^1 desktop is on it/);
  assert.match(whyKept(image, version(3, { state: "copying" })) ?? "", /cancel the copy/);
  assert.equal(whyKept(image, version(3, { state: "failed" })), null);
});
