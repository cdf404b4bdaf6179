/**
 * The product as it ships: dist/kvm-vdi with a dashboard and the agent of this host, on loopback, with directories of
 * its own. Everything goes through its public surface; what a test makes is removed with `await using`.
 */
import { get } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { EndpointName } from "../../contracts/api.ts";
import { ErrorBody } from "../../contracts/errors.ts";
import { api, type BodyOf, type QueryOf, type ResultOf } from "../../contracts/api.ts";
import type { Desktop } from "../../contracts/desktop.ts";
import type { Job } from "../../contracts/job.ts";
import { isOpenJob } from "../../contracts/job.ts";
import type { Machine } from "../../contracts/machine.ts";
import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

const root = new URL("../..", import.meta.url).pathname;
export const executable = join(root, "dist/kvm-vdi");
export const demoGuest = join(root, ".cache/demo-guest/demo.qcow2");
export const adminPassword = "correct horse battery";

export interface CallOptions<N extends EndpointName> {
  id?: string;
  query?: QueryOf<N>;
  body?: BodyOf<N>;
}

/** An answer of the API that was not a success. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(`${status} ${code}: ${message}`);
  }
}

/** Somebody who calls the API with a bearer token. */
export class ApiUser {
  constructor(readonly stand: Stand, readonly token: string) {}

  /** Calls one endpoint of contracts/api.ts; the answer is checked against the contract. */
  async call<N extends EndpointName>(name: N, options: CallOptions<N> = {}): Promise<ResultOf<N>> {
    const endpoint = api[name];
    const response = await this.stand.fetch(
      endpoint.path.replace(":id", options.id ?? "") + queryText(options.query),
      {
        method: endpoint.method,
        headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
        ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
      },
    );
    const answer = await response.text();
    if (!response.ok) {
      const { error } = ErrorBody.parse(JSON.parse(answer));
      throw new ApiError(response.status, error.code, error.message);
    }
    return endpoint.result.parse(answer === "" ? undefined : JSON.parse(answer)) as ResultOf<N>;
  }

  machine = async (id: string): Promise<Machine> => (await this.call("getMachine", { id })).machine;

  /** Waits until a job has ended, and returns it however it ended. */
  async ended(job: { id: string }, timeoutMs = 60_000): Promise<Job> {
    return await eventually(`job ${job.id} ends`, async () => {
      const { job: now } = await this.call("getJob", { id: job.id });
      return !isOpenJob(now) && now;
    }, { timeoutMs });
  }

  /** Waits until a job has succeeded. */
  async done(job: { id: string }, timeoutMs = 60_000): Promise<Job> {
    const ended = await this.ended(job, timeoutMs);
    if (ended.state !== "succeeded") {
      throw new Error(`${ended.kind} ${ended.state}: ${ended.error?.message} ${JSON.stringify(ended.items)}`);
    }
    return ended;
  }

  /** Makes one machine and waits for it. */
  async create(body: BodyOf<"createMachines">): Promise<Machine> {
    return (await this.createAll(body))[0]!;
  }

  async createAll(body: BodyOf<"createMachines">): Promise<Machine[]> {
    const { job, machines } = await this.call("createMachines", { body });
    await this.done(job);
    return await Promise.all(machines.map(({ id }) => this.machine(id)));
  }

  async inState(id: string, state: Machine["state"], timeoutMs = 60_000): Promise<Machine> {
    return await eventually(`machine ${id} is ${state}`, async () => {
      const machine = await this.machine(id);
      return machine.state === state && machine;
    }, { timeoutMs });
  }
}

function queryText(query: unknown): string {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return entries.length > 0
    ? `?${new URLSearchParams(entries.map(([key, value]) => [key, String(value)]))}`
    : "";
}

export interface StandOptions {
  /** Prefix of this stand's machines, to tell them from others on the same libvirt. */
  prefix: string;
  /** Without it the dashboard has no hypervisor until one is added. */
  localHypervisor?: boolean;
  /** The program; default: dist/kvm-vdi. */
  program?: string;
}

export class Stand implements AsyncDisposable {
  readonly dir: string;
  readonly dataDir: string;
  readonly agentDir: string;
  url = "";
  setupLink: string | null = null;
  #port = 0;
  #process: RunningProcess | undefined;
  #http: Deno.HttpClient | undefined;
  #admin: ApiUser | undefined;

  /** Of this stand's machines; with our process id, so that runs at the same time leave each other alone. */
  readonly prefix: string;

  private constructor(readonly label: string, dir: string, private readonly options: StandOptions) {
    this.prefix = `${label}${Deno.pid}-`;
    this.dir = dir;
    this.dataDir = join(dir, "dashboard");
    this.agentDir = join(dir, "agent");
  }

  static async start(options: StandOptions): Promise<Stand> {
    const { prefix, localHypervisor = true } = options;
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-stand-" });
    // The dashboard runs as its own user, QEMU as another: both must get through.
    await Deno.chmod(dir, 0o755);
    const stand = new Stand(prefix, dir, options);
    try {
      // What a run before this one left when it was killed.
      if (localHypervisor) await removeStaleDomains(prefix);
      await Deno.mkdir(join(stand.agentDir, "images"), { recursive: true });
      await Deno.mkdir(join(stand.agentDir, "iso"), { recursive: true });
      stand.#port = freePort();
      await stand.launch();
      return stand;
    } catch (error) {
      await stand[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts the dashboard with its local hypervisor; also again after `stop`, on the same port and data. */
  async launch(): Promise<void> {
    const { localHypervisor = true, program = executable } = this.options;
    const agentOptions = [
      ...["--local-hypervisor", "--agent-socket", join(this.agentDir, "agent.sock")],
      ...["--agent-state-dir", this.agentDir, "--domain-type", "qemu"],
    ];
    const argv = [
      ...[program, "dashboard", "--listen", `127.0.0.1:${this.#port}`, "--data-dir", this.dataDir],
      ...(localHypervisor ? agentOptions : []),
    ];
    const log = join(this.dir, "log");
    await Deno.writeTextFile(log, "", { append: true });
    const from = (await this.log()).length;
    // Straight into the file: a pipe that we read would be an operation left open by every test.
    const child = spawn(["sh", "-c", 'exec "$@" >>"$0" 2>&1', log, ...argv], {
      diesWithParent: true,
      stdout: "null",
      stderr: "null",
    });
    this.#process = child;
    let ended = false;
    void child.status.then(() => ended = true);
    const ready = await eventually("the dashboard is ready", async () => {
      const text = (await this.log()).slice(from);
      if (ended) return new Error(`the dashboard ended: ${text.slice(-2000)}`);
      return /^KVM-VDI is ready: (\S+)(?:\s+Setup: (\S+))?$/m.exec(text);
    }, { timeoutMs: 60_000, everyMs: 50 });
    if (ready instanceof Error) throw ready;
    const [, url = "", setupLink] = ready;
    this.url = new URL(url).origin;
    if (setupLink) this.setupLink = setupLink;
  }

  /** The dashboard's certificate authority, as an admin downloads it before anything is trusted. */
  async certificate(): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    get(
      `${this.url}/ca.pem`,
      { rejectUnauthorized: false },
      (response) => text(response).then(resolve, reject),
    )
      .on("error", reject);
    return await promise;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    this.#http ??= Deno.createHttpClient({ caCerts: [await this.certificate()] });
    const options: RequestInit & { client: Deno.HttpClient } = { ...init, client: this.#http };
    return await fetch(new URL(path, this.url), options);
  }

  /** Waits until the dashboard answers again. */
  async untilHealthy(timeoutMs: number): Promise<void> {
    await eventually("the dashboard answers", async () => {
      const response = await this.fetch("/healthz");
      await response.body?.cancel();
      return response.ok;
    }, { timeoutMs });
  }

  async signIn(username: string, password: string): Promise<ApiUser> {
    const response = await this.fetch("/api/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username, password, kind: "token" }),
    });
    const body = await response.json();
    if (!response.ok) throw new ApiError(response.status, body.error.code, body.error.message);
    return new ApiUser(this, body.token);
  }

  /** The first admin, made with the setup link at the first call. */
  async admin(): Promise<ApiUser> {
    if (this.#admin) return this.#admin;
    if (this.setupLink) {
      const token = new URL(this.setupLink).searchParams.get("token");
      const response = await this.fetch("/api/setup", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ token, username: "admin", password: adminPassword }),
      });
      if (!response.ok) throw new Error(`setup: ${await response.text()}`);
      await response.body?.cancel();
    }
    const admin = await this.signIn("admin", adminPassword);
    if (this.options.localHypervisor === false) return this.#admin = admin;
    await eventually("the hypervisor is online", async () => {
      const { items } = await admin.call("listHypervisors", { query: {} });
      return items.some(({ state }) => state === "online");
    }, { timeoutMs: 30_000 });
    return this.#admin = admin;
  }

  /** The name of one of this stand's machines. */
  name = (name: string) => `${this.prefix}${name}`;

  /** Copies the demo guest into the agent's image directory, ready to be imported; returns its path. */
  async demoImage(name = "demo.qcow2"): Promise<string> {
    const path = join(this.agentDir, "images", name);
    await Deno.copyFile(demoGuest, path);
    return path;
  }

  /** Process ids of the modes that the supervisor runs, by mode. */
  async pids(): Promise<{ agent: number; dashboard: number }> {
    const supervisor = this.#process?.pid;
    if (supervisor === undefined) throw new Error("the stand is not running");
    return await eventually("agent and dashboard run", async () => {
      const found = new Map<string, number>();
      for (const pid of await childrenOf(supervisor)) {
        const args = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0");
        const mode = args.find((word) => word === "agent" || word === "dashboard");
        // A child that was forked and has not become its program yet still has the supervisor's own arguments.
        if (mode && args.includes("--exit-with-parent")) found.set(mode, pid);
      }
      const agent = found.get("agent"), dashboard = found.get("dashboard");
      return agent !== undefined && dashboard !== undefined && { agent, dashboard };
    });
  }

  /** SIGTERM, as a service manager would. Returns the exit code. */
  async stop(): Promise<number> {
    const child = this.#process;
    this.#process = undefined;
    if (!child) return 0;
    Deno.kill(child.pid, "SIGTERM");
    return (await child.status).code;
  }

  /** Gives the user a desktop of the pool and waits until it is ready. */
  async desktopReady(user: ApiUser, desktopPoolId: string, timeoutMs = 90_000): Promise<Desktop> {
    const { desktop } = await user.call("getDesktop", { body: { desktopPoolId } });
    return await eventually("the desktop is ready", async () => {
      const { desktop: now } = await user.call("getMyDesktop", { id: desktop.id });
      if (now.state === "failed") throw new Error(now.error?.message);
      return now.state === "ready" && now;
    }, { timeoutMs });
  }

  /** Waits until every machine of the pool can be given. */
  async untilFree(admin: ApiUser, desktopPoolId: string): Promise<void> {
    await eventually("the whole pool is free", async () => {
      const { counts } = (await admin.call("getDesktopPool", { id: desktopPoolId })).desktopPool;
      return counts.free === counts.total;
    }, { timeoutMs: 60_000 });
  }

  /** Waits until a domain runs in another QEMU than before: the agent has started it again. */
  async untilDomainIdChanges(name: string, before: string): Promise<void> {
    await eventually(`${name} was started again`, async () => {
      const now = await virsh("domid", name);
      return now !== before && now !== "-";
    }, { timeoutMs: 30_000 });
  }

  /** Overlays of virtual snapshots that exist now. */
  scratchFiles = (): Promise<string[]> => listNames(join(this.agentDir, "scratch"));
  /** Files in the image directory. */
  imageFiles = (): Promise<string[]> => listNames(join(this.agentDir, "images"));

  log = (): Promise<string> => Deno.readTextFile(join(this.dir, "log"));

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#http?.close();
    if (this.options.localHypervisor !== false) await removeDomains(this.prefix);
    // To look at the log after a failure.
    if (Deno.env.get("KEEP_STAND")) console.log(`kept ${this.dir}`);
    else await Deno.remove(this.dir, { recursive: true });
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter(Boolean).map(Number);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

const listNames = async (path: string): Promise<string[]> =>
  (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort();

export const virsh = async (...args: string[]): Promise<string> =>
  (await run(["virsh", "-q", "-c", "qemu:///system", ...args])).stdout.trim();

/** Removes domains of this label whose test process is gone. */
async function removeStaleDomains(label: string): Promise<void> {
  const names = (await virsh("list", "--all", "--name")).split("\n").filter((name) => name.startsWith(label));
  const pids = new Set(names.map((name) => name.slice(label.length).split("-")[0]!));
  for (const pid of pids) {
    if (!await Deno.stat(`/proc/${pid}`).catch(() => null)) await removeDomains(`${label}${pid}-`);
  }
}

async function removeDomains(prefix: string): Promise<void> {
  const names = (await virsh("list", "--all", "--name")).split("\n").filter((name) =>
    name.startsWith(prefix)
  );
  for (const name of names) {
    await virsh("destroy", name).catch(() => {});
    await virsh("undefine", name).catch(() => {});
  }
}
