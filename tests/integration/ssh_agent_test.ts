/** A dashboard and agents behind a real sshd: who is let in, what goes through, and what happens when it breaks. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { SshTarget } from "../../contracts/hypervisor.ts";
import { startTestDashboard, type TestDashboard } from "../support/dashboard.ts";
import { serveAgent } from "../support/agent_server.ts";
import { eventually } from "../support/eventually.ts";
import { FakeAgent } from "../support/fake_agent.ts";
import { DashboardStand, deadline, refused, sourceBody } from "../support/machines_stand.ts";
import { Sshd, type SshdOptions, TestAccount } from "../support/sshd.ts";

/** A fake agent on its socket, an sshd before it, an account that may use it, and a dashboard that knows nobody yet. */
class SshStand extends DashboardStand {
  #id = "";

  private constructor(
    dashboard: TestDashboard,
    readonly agent: FakeAgent,
    readonly sshd: Sshd,
    readonly account: TestAccount,
    readonly dir: string,
    private readonly resources: AsyncDisposable,
  ) {
    super(dashboard);
  }

  static async start(options: SshdOptions = {}): Promise<SshStand> {
    await using made = new AsyncDisposableStack();
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
    made.defer(() => Deno.remove(dir, { recursive: true }));
    await Deno.chmod(dir, 0o755);
    const agent = made.use(new FakeAgent({ heartbeatMs: 500, updatedHello: { version: "0.2.0" } }));
    made.use(await serveAgent(agent, join(dir, "agent.sock")));
    const account = made.use(await TestAccount.create());
    const sshd = made.use(await Sshd.start(options));
    const dashboard = await startTestDashboard();
    return new SshStand(dashboard, agent, sshd, account, dir, made.move());
  }

  get socketPath(): string {
    return join(this.dir, "agent.sock");
  }
  override get hypervisorId(): string {
    return this.#id;
  }
  get status() {
    return this.dashboard.app.agents.status(this.#id);
  }
  /** The line that lets the dashboard in. */
  get line(): string {
    return this.dashboard.app.ownKeys.list()[0]!.publicKey;
  }

  target(): Promise<SshTarget> {
    return this.sshd.target(this.account.username);
  }

  /** Adds the hypervisor and waits until it is online. */
  async add(changes: Partial<SshTarget> = {}): Promise<void> {
    const ssh = { ...await this.target(), ...changes };
    const body = { name: "far", socketPath: this.socketPath, ssh };
    const { hypervisor } = await this.api.call("createHypervisor", { body });
    this.#id = hypervisor.id;
    await this.online();
  }

  /** Lets the dashboard in and adds the hypervisor. */
  async connect(keyOptions = ""): Promise<this> {
    await this.sshd.authorize(this.account.username, `${keyOptions} ${this.line}`.trim());
    await this.add();
    return this;
  }

  /** Waits until the dashboard has lost it; returns the reason. */
  async lost(timeoutMs = 20_000): Promise<string> {
    await eventually("it is offline", () => this.status.state === "offline", { timeoutMs, everyMs: 20 });
    return this.status.reason ?? "";
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.resources[Symbol.asyncDispose]();
  }
}

/** A display on the hypervisor's loopback that says everything again. */
async function startEcho(): Promise<AsyncDisposable & { port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    server,
    port: address !== null && typeof address === "object" ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

Deno.test("ssh: questions, events, jobs and displays go through one connection", async () => {
  await using stand = await SshStand.start();
  await stand.connect("restrict,port-forwarding");
  const { hypervisor } = await stand.api.call("getHypervisor", { id: stand.hypervisorId });
  assert.partialDeepStrictEqual(hypervisor, { state: "online", stateReason: null, address: "127.0.0.1" });
  assert.equal(hypervisor.ssh?.hostKey.fingerprint, await stand.sshd.fingerprint());

  const [machine] = await stand.create({ ...sourceBody(), hypervisorId: stand.hypervisorId });
  await stand.api.call("powerMachine", { id: machine!.id, body: { action: "start" } });
  await stand.until(machine!.id, "runs", ({ state }) => state === "running");

  await using echo = await startEcho();
  const { agents } = stand.dashboard.app;
  const display = await agents.dialDisplay(stand.hypervisorId, "127.0.0.1", echo.port);
  const sent = crypto.getRandomValues(new Uint8Array(60_000));
  display.write(sent);
  const received: Uint8Array[] = [];
  for (let bytes = 0; bytes < sent.length;) {
    const [data] = await once(display, "data");
    received.push(data);
    bytes += data.length;
  }
  assert.equal(
    await sha256(new Uint8Array(await new Blob(received as BlobPart[]).arrayBuffer())),
    await sha256(sent),
  );
  assert.equal(await stand.sshd.connectionCount(), 1);
  display.destroy();
  await once(display, "close");
  await eventually(
    "the display is disconnected",
    () => new Promise<boolean>((resolve) => echo.server.getConnections((_, count) => resolve(count === 0))),
  );
  await assert.rejects(agents.dialDisplay(stand.hypervisorId, "127.0.0.1", 1), {
    code: "unavailable",
    message: /nothing answers at 127.0.0.1:1 on/,
  });
});

Deno.test("ssh: files go both ways whole, and from where they stopped", async () => {
  await using stand = await SshStand.start();
  await stand.connect();
  const agent = stand.dashboard.app.agents.of(stand.hypervisorId);
  const content = crypto.getRandomValues(new Uint8Array(65_536));
  stand.agent.files.put("/images/a.iso", content);
  const read = async (from: number) => {
    const { totalBytes, bytes } = await agent.readFile("/images/a.iso", from, deadline());
    assert.equal(totalBytes, content.length);
    return new Uint8Array(await new Blob(await Array.fromAsync(bytes) as BlobPart[]).arrayBuffer());
  };
  assert.deepEqual(await read(0), content);
  assert.deepEqual(await read(60_000), content.subarray(60_000));
  await assert.rejects(agent.readFile("/images/none.iso", 0, deadline()), { code: "not_found" });

  const executable = new Uint8Array(20 * 2 ** 20).fill(7);
  let given = 0;
  const pieces = async function* () {
    for (let at = 0; at < executable.length; at += 65_536) {
      given += 65_536;
      yield await Promise.resolve(executable.subarray(at, at + 65_536));
    }
  };
  const current = () => stand.dashboard.app.agents.of(stand.hypervisorId);
  const update = (hash: string) =>
    current().updateExecutable({ sha256: hash, bytes: pieces(), length: executable.length }, deadline());
  await assert.rejects(update("0".repeat(64)), { code: "invalid" });
  await update(await sha256(executable));
  assert.equal(stand.agent.executableSha256, await sha256(executable));
  assert.equal(given, 2 * executable.length);
  // It has restarted as the new one.
  await eventually("it is connected again", () => stand.status.hello?.version === "0.2.0");
  await stand.online();
  const broken = async function* () {
    yield await Promise.resolve(executable.subarray(0, 1000));
    throw new Error("the source broke");
  };
  await assert.rejects(
    current().updateExecutable({ sha256: "0", bytes: broken(), length: 5000 }, deadline()),
    (error: Error) => /broke/.test(`${error.message} ${(error.cause as Error)?.message}`),
  );
});

Deno.test("ssh: a host with another key than the confirmed one is refused with both fingerprints", async () => {
  await using stand = await SshStand.start();
  await stand.sshd.authorize(stand.account.username, stand.line);
  const body = { address: stand.sshd.address, port: stand.sshd.port };
  const { hostKey } = await stand.api.call("readHostKey", { body });
  const known = await stand.sshd.fingerprint();
  assert.deepEqual(hostKey, { ...await stand.sshd.hostKey(), fingerprint: known });
  await stand.add({ hostKey });
  await stand.sshd.changeHostKey();
  const presented = await stand.sshd.fingerprint();
  const reason = await eventually("it is refused", () => {
    const { state, reason } = stand.status;
    return state === "offline" && reason?.includes("host key") && reason;
  });
  assert.ok(reason.includes(`expected ${known}`) && reason.includes(`presented ${presented}`), reason);
  assert.match(reason, /accept the new key/);

  await assert.rejects(
    stand.api.call("createHypervisor", {
      body: { name: "again", socketPath: "/other.sock", ssh: { ...await stand.target(), hostKey } },
    }),
    refused("invalid", new RegExp(`expected ${known.replace(/[+/]/g, ".")}`), "ssh.hostKey"),
  );
  await stand.api.call("updateHypervisor", {
    id: stand.hypervisorId,
    body: { ssh: { hostKey: await stand.sshd.hostKey() } },
  });
  await stand.online();
});

Deno.test("ssh: the confirmed kind of key is asked for, and one that is missing shows what is there instead", async () => {
  await using stand = await SshStand.start({ hostKeys: ["rsa", "ecdsa"] });
  await stand.sshd.authorize(stand.account.username, stand.line);
  const hostKey = await stand.sshd.hostKey("rsa");
  assert.equal(hostKey.algorithm, "ssh-rsa");
  await stand.add({ hostKey });
  const foreign = { algorithm: "ssh-ed25519", key: stand.line.split(" ")[1]! };
  await assert.rejects(
    stand.api.call("createHypervisor", {
      body: { name: "x", socketPath: "/x.sock", ssh: { ...await stand.target(), hostKey: foreign } },
    }),
    refused(
      "invalid",
      new RegExp((await stand.sshd.fingerprint("ecdsa")).replace(/[+/]/g, ".")),
      "ssh.hostKey",
    ),
  );
});

Deno.test("ssh: whoever is not let in is told which line to add, for which account", async () => {
  await using stand = await SshStand.start();
  const refusal = async (error: unknown) => {
    const { items: [key] } = await stand.api.call("listOwnKeys");
    assert.ok(String(error).includes(key!.publicKey), String(error));
    return refused("invalid", new RegExp(`let the account ${stand.account.username} in`), "ssh.username")(
      error,
    );
  };
  await stand.add().then(() => assert.fail("it was let in"), refusal);
  await stand.connect();
});

Deno.test("ssh: addresses without a host, a listener or an agent are told apart", async () => {
  await using stand = await SshStand.start();
  await stand.sshd.authorize(stand.account.username, stand.line);
  const create = async (changes: Partial<SshTarget>, socketPath = stand.socketPath) =>
    await stand.api.call("createHypervisor", {
      body: { name: "x", socketPath, ssh: { ...await stand.target(), ...changes } },
    });
  await assert.rejects(
    create({ port: 1 }),
    refused("invalid", /nothing listens on .* port 1/, "ssh.address"),
  );
  await assert.rejects(
    create({ address: "no-such-host.invalid" }),
    refused("invalid", /not known to the DNS/, "ssh.address"),
  );
  await assert.rejects(
    create({}, "/run/none.sock"),
    refused("invalid", /no agent answers at \/run\/none.sock .* in the group/, "socketPath"),
  );
  await assert.rejects(
    stand.api.call("readHostKey", { body: { address: "127.0.0.1", port: 1 } }),
    refused("unavailable", /nothing listens/, "address"),
  );
});

Deno.test("ssh: a key that may not forward says so", async () => {
  await using stand = await SshStand.start();
  await stand.sshd.authorize(stand.account.username, `restrict ${stand.line}`);
  await assert.rejects(
    stand.add(),
    refused("invalid", /may it forward connections .*restrict,port-forwarding/, "socketPath"),
  );
});

Deno.test("ssh: a peer that is frozen is found within 15 s, and what waits for it ends", async () => {
  await using stand = await SshStand.start();
  await stand.connect();
  const agent = stand.dashboard.app.agents.of(stand.hypervisorId);
  await using echo = await startEcho();
  const display = await stand.dashboard.app.agents.dialDisplay(stand.hypervisorId, "127.0.0.1", echo.port);
  const displayClosed = new Promise((resolve) => display.once("close", resolve));
  await stand.sshd.freeze();
  const frozenAt = performance.now();
  const waiting = agent.jobs().catch((error) => error);
  const reason = await stand.lost();
  assert.ok(performance.now() - frozenAt < 15_000, `found after ${performance.now() - frozenAt} ms`);
  assert.match(reason, /stopped answering/);
  await displayClosed;
  assert.equal((await waiting).code, "unavailable");
  await stand.online();
  await stand.sshd.thaw();
});

Deno.test("ssh: a connection that is cut is made again, and the job that ran meanwhile is picked up", async () => {
  await using stand = await SshStand.start();
  await stand.connect();
  const [source] = await stand.create({ ...sourceBody(), hypervisorId: stand.hypervisorId });
  const [initial] = await stand.create({
    name: "gold",
    role: "initial",
    sourceId: source!.id,
    copyDisk: true,
  });
  stand.agent.hold("copy-disk");
  const { job } = await stand.api.call("copyDisk", { id: initial!.id });
  await stand.sshd.stop();
  await stand.lost();
  assert.equal((await stand.api.call("getJob", { id: job.id })).job.state, "running");
  stand.agent.release("copy-disk");
  await stand.sshd.start();
  assert.equal((await stand.ended(job)).state, "succeeded");
  assert.equal(stand.status.state, "online");
  await stand.sshd.cut();
  await eventually(
    "it is connected again",
    async () => await stand.sshd.connectionCount() === 1 && stand.status.state === "online",
  );
});

Deno.test("ssh: an RSA key of the dashboard's lets it in too", async () => {
  await using stand = await SshStand.start();
  const { key } = await stand.api.call("createOwnKey", { body: { algorithm: "rsa" } });
  const { items } = await stand.api.call("listOwnKeys");
  assert.deepEqual(items.map(({ algorithm }) => algorithm), ["ed25519", "rsa"]);
  await stand.sshd.authorize(stand.account.username, key.publicKey);
  await stand.add();
});

Deno.test({
  name: "ssh: hosts without AES-GCM are as good",
  // ssh2 never finishes an AES-CTR cipher: two stay for each connection.
  sanitizeResources: false,
  async fn() {
    await using stand = await SshStand.start({ config: ["Ciphers aes256-ctr"] });
    await stand.connect();
    await stand.sshd.cut();
    await stand.lost();
    await stand.online();
  },
});
