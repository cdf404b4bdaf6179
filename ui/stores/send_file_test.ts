import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { AppError } from "../../contracts/errors.ts";
import type { Upload } from "../../contracts/storage.ts";
import { sendFile, type Sending, type UploadApi } from "./send_file.ts";
import { startSha256 } from "./sha256.ts";
import { whyNotUpload } from "./uploads.ts";

const bytes = new Uint8Array(10_000).map((_, index) => index * 7 % 251);
const file = new File([bytes], "lab.iso");
const digest = createHash("sha256").update(bytes).digest("hex");
const lost = () => new AppError("unavailable", "The dashboard could not be reached.");

/** A dashboard that keeps what arrives; `before` may break a call, `after` may lose its answer. */
class FakeDashboard implements UploadApi {
  stored: Upload | null = null;
  received: number[] = [];
  sha256 = "";
  before: (call: string, offset: number) => void = () => {};
  after: (call: string, offset: number) => void = () => {};

  constructor(arrived = 0) {
    if (arrived > 0) this.#create(arrived);
  }

  #create(arrived: number) {
    this.received = [...bytes.subarray(0, arrived)];
    this.stored = {
      id: "00000001-0000-4000-8000-000000000001",
      hypervisorId: "hv-1",
      fileName: "lab.iso",
      bytes: bytes.length,
      receivedBytes: arrived,
      state: "receiving",
      error: null,
      startedBy: "admin",
      startedAt: 1,
      path: null,
      format: null,
      sha256: null,
    };
  }

  list = () => Promise.resolve(this.stored ? [{ ...this.stored, receivedBytes: 1 }] : []);
  get = () => Promise.resolve({ ...this.stored! });
  create = () => {
    this.before("create", 0);
    this.#create(0);
    return this.get();
  };
  piece = (_: string, offset: number, piece: Uint8Array) => {
    this.before("piece", offset);
    if (offset !== this.received.length) throw new AppError("conflict", "Go on elsewhere.");
    this.received.push(...piece);
    this.stored!.receivedBytes = this.received.length;
    this.after("piece", offset);
    return this.get();
  };
  finish = (_: string, sha256: string) => {
    this.before("finish", 0);
    this.sha256 = sha256;
    Object.assign(this.stored!, { state: "done", path: "/iso/lab.iso" });
    this.after("finish", 0);
    return this.get();
  };
}

function send(api: UploadApi, signal = new AbortController().signal) {
  const seen: Sending[] = [];
  const pauses: number[] = [];
  const done = sendFile({
    file,
    fileName: file.name,
    hypervisorId: "hv-1",
    api,
    startHash: startSha256,
    onChange: (sending) => seen.push(sending),
    signal,
    pause: (failures) => (pauses.push(failures), Promise.resolve()),
    pieceBytes: 3000,
  });
  return { done, seen, pauses };
}

const once = (wanted: string, at: number, error: () => Error) => {
  let happened = false;
  return (call: string, offset: number) => {
    if (happened || call !== wanted || offset !== at) return;
    happened = true;
    throw error();
  };
};

Deno.test("sendFile() sends all pieces and the checksum of the whole", async () => {
  const dashboard = new FakeDashboard();
  const { done, seen } = send(dashboard);
  assert.equal((await done).state, "done");
  assert.deepEqual(new Uint8Array(dashboard.received), bytes);
  assert.equal(dashboard.sha256, digest);
  assert.deepEqual(seen.filter((one) => one.stage === "sending").map((one) => one.sentBytes), [
    0,
    3000,
    6000,
    9000,
  ]);
  assert.equal(seen.at(-1)?.stage, "checking");
});

Deno.test("sendFile() goes on where an upload of the same file has stopped, with the checksum of the whole", async () => {
  const dashboard = new FakeDashboard(4321);
  const sent: number[] = [];
  dashboard.before = (call, offset) => void (call === "piece" && sent.push(offset));
  const { done, seen } = send(dashboard);
  await done;
  assert.equal(sent[0], 4321);
  assert.equal(seen.at(-1)?.resumedFrom, 4321);
  assert.deepEqual(new Uint8Array(dashboard.received), bytes);
  assert.equal(dashboard.sha256, digest);
});

Deno.test("sendFile() waits while the dashboard can't be reached, and then goes on", async () => {
  const dashboard = new FakeDashboard();
  let failing = 3;
  dashboard.before = (call, offset) => {
    if (call === "piece" && offset === 3000 && failing-- > 0) throw lost();
  };
  const { done, seen, pauses } = send(dashboard);
  await done;
  assert.deepEqual(pauses, [1, 2, 3]);
  assert.ok(seen.some((one) => one.stage === "waiting"));
  assert.deepEqual(new Uint8Array(dashboard.received), bytes);
});

Deno.test("sendFile() does not send a piece twice whose answer was lost", async () => {
  const dashboard = new FakeDashboard();
  dashboard.after = once("piece", 3000, lost);
  const { done } = send(dashboard);
  await done;
  assert.deepEqual(new Uint8Array(dashboard.received), bytes);
  assert.equal(dashboard.sha256, digest);
});

Deno.test("sendFile() sends again what the hypervisor has lost, without a wrong checksum", async () => {
  const dashboard = new FakeDashboard();
  dashboard.before = once("piece", 6000, () => {
    dashboard.received.length = 1000;
    dashboard.stored!.receivedBytes = 1000;
    return new AppError("conflict", "Go on at 1000.");
  });
  const { done } = send(dashboard);
  await done;
  assert.deepEqual(new Uint8Array(dashboard.received), bytes);
  assert.equal(dashboard.sha256, digest);
});

Deno.test("sendFile() ends with the dashboard's words when it refuses", async () => {
  const dashboard = new FakeDashboard();
  dashboard.before = once("piece", 3000, () => new AppError("hypervisor_failed", "No space left."));
  await assert.rejects(send(dashboard).done, { message: "No space left." });
  assert.equal(dashboard.received.length, 3000);
});

Deno.test("sendFile() stops at once when it is cancelled", async () => {
  const dashboard = new FakeDashboard();
  const controller = new AbortController();
  dashboard.after = (_, offset) => void (offset === 3000 && controller.abort(new Error("cancelled")));
  await assert.rejects(send(dashboard, controller.signal).done, { message: "cancelled" });
  assert.equal(dashboard.received.length, 6000);
});

Deno.test("sendFile() believes in a finish whose answer was an error, if the upload is done", async () => {
  const dashboard = new FakeDashboard();
  dashboard.after = once("finish", 0, () => new AppError("conflict", "It is finished already."));
  assert.equal((await send(dashboard).done).state, "done");
});

Deno.test("whyNotUpload() says in words what is wrong before a byte is sent", () => {
  assert.equal(whyNotUpload({ name: "debian.iso", size: 5 }, 10), null);
  assert.match(whyNotUpload({ name: "notes.txt", size: 5 }, 10) ?? "", /must end in \.iso/);
  assert.match(whyNotUpload({ name: "ä.iso", size: 5 }, 10) ?? "", /does not fit: use letters/);
  assert.match(whyNotUpload({ name: "debian.iso", size: 5000 }, 1024) ?? "", /1 KiB are free/);
  assert.match(whyNotUpload({ name: "debian.iso", size: 0 }, null) ?? "", /is empty/);
});
