import assert from "node:assert/strict";
import { DashboardEvent } from "../../contracts/events.ts";
import { type ApiClient, startTestDashboard } from "../../tests/support/dashboard.ts";
import { LoadFilter } from "./load_filter.ts";
import { EventStream } from "./stream.ts";

/** Reads a client's event stream. */
class EventReader implements AsyncDisposable {
  #reader: ReadableStreamDefaultReader<string>;
  #text = "";
  private constructor(body: ReadableStream<string>) {
    this.#reader = body.getReader();
  }

  static async open(client: ApiClient): Promise<EventReader> {
    const response = await client.fetch("/api/events");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    return new EventReader(response.body!.pipeThrough(new TextDecoderStream()));
  }

  /** The next event, checked against the contract; null when the stream has ended. */
  async next(): Promise<DashboardEvent | null> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        const event = DashboardEvent.parse(JSON.parse(data));
        assert.equal(/^event: (.*)$/m.exec(block)?.[1], event.type);
        return event;
      }
      const { value, done } = await this.#reader.read();
      if (done) return null;
      this.#text += value;
    }
  }

  async nextOf<T extends DashboardEvent["type"]>(type: T): Promise<Extract<DashboardEvent, { type: T }>> {
    for (;;) {
      const event = await this.next();
      assert(event !== null, `the stream ended before ${type}`);
      if (event.type === type) return event as Extract<DashboardEvent, { type: T }>;
    }
  }

  async [Symbol.asyncDispose]() {
    await this.#reader.cancel();
  }
}

const eventTimes = { collectMs: 5, overviewMs: 20, loadMs: 20 };

Deno.test("/api/events begins with a snapshot; admins see everything, users nothing of others", async () => {
  await using test = await startTestDashboard({ eventTimes });
  await using admin = await EventReader.open(test.admin);
  await using user = await EventReader.open(await test.as("bob"));
  const [forAdmin, forUser] = [await admin.nextOf("snapshot"), await user.nextOf("snapshot")];
  assert.equal(forAdmin.user.username, "admin");
  assert.notEqual(forAdmin.overview, null);
  assert.deepEqual([forUser.user.username, forUser.overview, forUser.jobs], ["bob", null, []]);
  const { user: carol } = await test.admin.call("createUser", {
    body: { username: "carol", password: "long enough" },
  });
  assert.deepEqual(await admin.nextOf("user"), { type: "user", id: carol.id });
  assert((await admin.nextOf("audit")).id > 0);
  const { desktopPool } = await test.admin.call("createDesktopPool", { body: { name: "Lab" } });
  assert.equal((await admin.nextOf("desktop-pool")).desktopPool.name, "Lab");
  assert.equal((await admin.nextOf("overview")).overview.desktopPoolCount, 1);
  // The first that bob hears of is what concerns him.
  const userIds = [forUser.user.id];
  await test.admin.call("putEntitlements", { id: desktopPool.id, body: { userIds } });
  assert.deepEqual(await user.next(), { type: "my-desktop-pools" });
});

Deno.test("/api/events ends with the session", async () => {
  await using test = await startTestDashboard({ eventTimes });
  const bob = await test.as("bob");
  await using events = await EventReader.open(bob);
  await events.nextOf("snapshot");
  await test.admin.call("updateUser", { id: bob.userId, body: { disabled: true } });
  assert.equal(await events.next(), null);
});

Deno.test("/api/events ends when the dashboard stops, which does not wait for it", async () => {
  const test = await startTestDashboard({ eventTimes });
  const events = await EventReader.open(test.admin);
  await events.nextOf("snapshot");
  const start = performance.now();
  await test[Symbol.asyncDispose]();
  assert(performance.now() - start < 2_000);
  await events[Symbol.asyncDispose]().catch(() => {});
});

Deno.test("/api/events tells many changes of one thing once", async () => {
  await using test = await startTestDashboard({ eventTimes: { ...eventTimes, collectMs: 50 } });
  await using events = await EventReader.open(test.admin);
  await events.nextOf("snapshot");
  const [id, other] = [crypto.randomUUID(), crypto.randomUUID()];
  for (let i = 0; i < 100; i++) test.app.bus.publish({ type: "user", id });
  test.app.bus.publish({ type: "user", id: other });
  assert.deepEqual(await events.nextOf("user"), { type: "user", id });
  assert.deepEqual(await events.nextOf("user"), { type: "user", id: other });
});

Deno.test("EventStream sends nothing before its snapshot", async () => {
  const stream = new EventStream(() => {});
  const bytes = (text: string) => new TextEncoder().encode(text);
  stream.send(bytes("change\n"));
  stream.open(bytes("snapshot\n"));
  stream.close();
  assert.equal(await new Response(stream.body as ReadableStream).text(), "retry: 1000\n\nsnapshot\nchange\n");
});

Deno.test("EventStream drops a client that does not read, and frees what waits for it", async () => {
  let closed = 0;
  const stream = new EventStream(() => closed++);
  stream.open(new Uint8Array());
  const chunk = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 20 && closed === 0; i++) stream.send(chunk);
  assert.equal(closed, 1);
  stream.send(chunk);
  await assert.rejects(new Response(stream.body as ReadableStream).text(), /reads too slowly/);
});

Deno.test("LoadFilter lets through what can be seen", () => {
  const filter = new LoadFilter();
  const load = (cpuPercent: number | null, memoryUsedMiB = 100) =>
    filter.isNews({ id: "a", cpuPercent, memoryUsedMiB });
  assert.deepEqual([load(10), load(11), load(14), load(14, 200), load(null), load(null)], [
    true,
    false,
    true,
    true,
    true,
    true,
  ]);
});
