import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { createLogger } from "../../lib/log.ts";
import { FakeAgent } from "../../tests/support/fake_agent.ts";
import { type AgentAddress, type AgentLink, directLink } from "./agent_link.ts";
import { AgentConnections } from "./connections.ts";
import { SshFailure } from "./ssh/failure.ts";

const ssh = {
  address: "far",
  port: 22,
  username: "kvm-vdi",
  hostKey: { algorithm: "ssh-ed25519", key: "AAAA" },
};
const far: AgentAddress = { id: "h1", name: "far", socketPath: "/run/a.sock", ssh };
const deadline = () => AbortSignal.timeout(5000);

/** Connections to one fake agent, whose links the test breaks. */
class Stand implements AsyncDisposable {
  readonly agent = new FakeAgent();
  readonly attempts: { at: number; address: AgentAddress }[] = [];
  readonly closed: number[] = [];
  readonly dialled: string[] = [];
  refusal: SshFailure | null = null;
  breakLink: (reason: SshFailure) => void = () => {};
  readonly agents: AgentConnections;

  constructor(retryDelaysMs: number[]) {
    this.agents = new AgentConnections({
      connect: (address) => this.#connect(address),
      log: createLogger({ mode: "test", level: "silent" }),
      now: Date.now,
      times: { retryDelaysMs },
    });
  }

  #connect(address: AgentAddress): Promise<AgentLink> {
    const number = this.attempts.push({ at: performance.now(), address });
    if (this.refusal) return Promise.reject(this.refusal);
    const { promise, resolve } = Promise.withResolvers<SshFailure>();
    this.breakLink = resolve;
    return Promise.resolve({
      ...directLink(this.agent, () => this.closed.push(number)),
      closed: promise,
      dial: (host, port) => {
        this.dialled.push(`${number} ${host}:${port}`);
        return Promise.resolve(new PassThrough());
      },
    });
  }

  /** Waits until the hypervisor is offline. */
  async offline(): Promise<string | null> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => this.agents.status("h1").state === "offline" && resolve();
    const unlisten = this.agents.listen(look);
    look();
    await promise;
    unlisten();
    return this.agents.status("h1").reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agents.stop();
    await this.agent[Symbol.asyncDispose]();
  }
}

Deno.test("a link that breaks makes the hypervisor offline with its reason, is closed, and a new one is made", async () => {
  await using stand = new Stand([20]);
  stand.agents.start([far]);
  await stand.agents.untilUsable("h1", deadline());
  stand.breakLink(new SshFailure("far has stopped answering.", "address"));
  assert.equal(await stand.offline(), "far has stopped answering.");
  assert.throws(() => stand.agents.of("h1"), {
    message: /far cannot be used now: far has stopped answering/,
  });
  await assert.rejects(stand.agents.dialDisplay("h1", "127.0.0.1", 5900), { code: "unavailable" });
  await stand.agents.untilUsable("h1", deadline());
  assert.deepEqual([stand.attempts.length, stand.closed], [2, [1]]);
  await stand.agents.dialDisplay("h1", "127.0.0.1", 5900);
  assert.deepEqual(stand.dialled, ["2 127.0.0.1:5900"], "displays go along the same connection");
});

Deno.test("a host that refuses is tried seldom, one that is away soon", async () => {
  await using stand = new Stand([1, 1, 1, 1, 1, 600]);
  stand.refusal = new SshFailure("nothing listens.", "address");
  stand.agents.start([far]);
  while (stand.attempts.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(stand.attempts[2]!.at - stand.attempts[0]!.at < 300);
  await stand.agents.remove("h1");
  stand.refusal = new SshFailure("the host key has changed.", "hostKey");
  stand.attempts.length = 0;
  stand.agents.add(far);
  while (stand.attempts.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(stand.attempts[1]!.at - stand.attempts[0]!.at >= 400);
});

Deno.test("AgentConnections.move() leaves the old address at once and uses the new one", async () => {
  await using stand = new Stand([600_000]);
  stand.refusal = new SshFailure("the host key has changed.", "hostKey");
  stand.agents.start([far]);
  await stand.offline();
  stand.refusal = null;
  await stand.agents.move({ ...far, ssh: { ...ssh, address: "near" } });
  await stand.agents.untilUsable("h1", deadline());
  assert.equal(stand.attempts.at(-1)?.address.ssh?.address, "near");
});
