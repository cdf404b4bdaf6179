import assert from "node:assert/strict";
import type { Connection } from "../../contracts/desktop.ts";
import { AppError } from "../../contracts/errors.ts";
import { ConsoleSession, type ConsoleState } from "./console_session.ts";

const connectionOf = (ticket: string): Connection => ({
  protocol: "spice",
  machineId: "5f0c5ad5-3c5b-4a39-8a0c-0f0f0f0f0f0f",
  machineName: "lab-1",
  title: "lab-1",
  webSocketPath: `/gateway/console/${ticket}`,
  proxyHost: ticket,
  proxyPort: 5900,
  password: "secret",
  expiresAt: 0,
});

/** A session with a viewer that does nothing but remember, and a clock that is moved by hand. */
function startSession(open?: () => Promise<Connection>) {
  const states: ConsoleState[] = [];
  const opened: string[] = [];
  const waits: { ms: number; go: () => void }[] = [];
  let tickets = 0;
  const session = new ConsoleSession({
    viewer: { connect: ({ url }) => void opened.push(url), disconnect() {} },
    open: open ?? (() => Promise.resolve(connectionOf(`t${++tickets}`))),
    urlOf: (path) => `ws://here${path}`,
    onChange: (state) => void states.push(state),
    wait: (ms, signal) =>
      new Promise((resolve) => {
        waits.push({ ms, go: resolve });
        signal.addEventListener("abort", () => resolve());
      }),
  });
  return { session, states, opened, waits };
}

/** Lets everything that is already decided happen. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("ConsoleSession waits until the machine is ready, then connects with a ticket", async () => {
  const { session, opened, states } = startSession();
  session.reconnect();
  await settle();
  assert.deepEqual(states, [{ kind: "idle" }]);
  session.setReady(true);
  await settle();
  assert.deepEqual(opened, ["ws://here/gateway/console/t1"]);
  session.onViewerState({ kind: "connected" });
  assert.equal(states.at(-1)?.kind, "connected");
  session.dispose();
});

Deno.test("ConsoleSession connects again with a new ticket after a lost connection, slower each time", async () => {
  const { session, opened, waits, states } = startSession();
  session.setReady(true);
  for (let i = 0; i < 3; i++) {
    await settle();
    session.onViewerState({ kind: "closed", reason: "lost" });
    await settle();
    waits.at(-1)!.go();
  }
  await settle();
  assert.deepEqual(opened.map((url) => url.slice(-2)), ["t1", "t2", "t3", "t4"]);
  assert.deepEqual(waits.map(({ ms }) => ms), [300, 1_000, 2_000]);
  session.onViewerState({ kind: "connected" });
  session.onViewerState({ kind: "closed", reason: "restarting" });
  await settle();
  assert.equal(waits.at(-1)!.ms, 300);
  assert.deepEqual(states.at(-1), { kind: "connecting", problem: "The dashboard restarts." });
  session.dispose();
});

Deno.test("ConsoleSession does not fight over a display that was taken over, until the user asks", async () => {
  const { session, opened, waits, states } = startSession();
  session.setReady(true);
  await settle();
  session.onViewerState({ kind: "connected" });
  session.onViewerState({ kind: "closed", reason: "takenOverByYou" });
  await settle();
  assert.equal(states.at(-1)?.kind, "ended");
  session.setReady(true);
  await settle();
  assert.equal(opened.length, 1);
  assert.equal(waits.length, 0);
  session.reconnect();
  await settle();
  assert.equal(opened.length, 2);
  session.dispose();
});

Deno.test("ConsoleSession stops at a refusal and keeps trying through an outage", async () => {
  let error = new AppError("unavailable", "The hypervisor is offline.");
  const { session, states, waits } = startSession(() => Promise.reject(error));
  session.setReady(true);
  await settle();
  assert.deepEqual(states.at(-1), { kind: "connecting", problem: "The hypervisor is offline." });
  error = new AppError("forbidden", "You may not use this desktop.");
  waits.at(-1)!.go();
  await settle();
  assert.deepEqual(states.at(-1), {
    kind: "ended",
    reason: "error",
    message: "You may not use this desktop.",
  });
  session.dispose();
});

Deno.test("ConsoleSession.leave() ends it, whatever comes from the viewer later", async () => {
  const { session, states, opened } = startSession();
  session.setReady(true);
  await settle();
  session.leave();
  session.onViewerState({ kind: "closed", reason: "lost" });
  await settle();
  assert.deepEqual(states.at(-1), { kind: "ended", reason: "left", message: "You left this screen." });
  assert.equal(opened.length, 1);
});
