/** A real OpenSSH server on a loopback port, with host keys, settings and authorized keys of its own. Needs root. */
import { join } from "node:path";
import { createServer } from "node:net";
import type { SshTarget } from "../../contracts/hypervisor.ts";
import { run, type RunningProcess, spawn } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

export interface SshdOptions {
  /** Put before every command, to run in a namespace of its own. */
  enter?: readonly string[];
  /** Also let accounts in by password, through PAM, as Debian does. */
  passwords?: boolean;
  /** Kinds of host keys, as ssh-keygen names them. */
  hostKeys?: readonly string[];
  /** Lines of sshd_config that come first and so win. */
  config?: readonly string[];
}

export class Sshd implements AsyncDisposable {
  readonly address = "127.0.0.1";
  #listener: RunningProcess | undefined;

  private constructor(readonly dir: string, readonly port: number, private readonly options: SshdOptions) {}

  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-sshd-" });
    // The accounts read their authorized keys themselves.
    await Deno.chmod(dir, 0o755);
    await Deno.mkdir(join(dir, "authorized_keys"));
    const sshd = new Sshd(dir, await freePort(), options);
    await sshd.#makeHostKeys();
    await Deno.writeTextFile(sshd.#configFile, sshd.#config());
    await sshd.start();
    return sshd;
  }

  /** Listens (again); resolves once it answers. */
  async start(): Promise<void> {
    const { enter = [] } = this.options;
    await this.#listener?.status;
    await run([...enter, "mkdir", "-p", "/run/sshd"]);
    this.#listener = spawn([...enter, "/usr/sbin/sshd", "-D", "-e", "-f", this.#configFile], {
      stdout: "null",
      stderr: "piped",
    });
    const { status, stderrTail } = this.#listener;
    let ended: string | undefined;
    void status.then(() => ended = stderrTail());
    const failure = await eventually("sshd answers", async () => ended ?? await this.#answers(), {
      everyMs: 20,
    });
    if (failure !== true) throw new Error(`sshd does not start: ${failure}`);
  }

  /** Ends it and its connections: nothing answers on its port any more. */
  async stop(): Promise<void> {
    if (!this.#listener) return;
    const { pid, status } = this.#listener;
    // No new connection while the old ones are counted: without their listener they could not be found any more.
    signal(pid, "SIGSTOP");
    const connections = await descendantsOf(pid);
    for (const each of [pid, ...connections]) signal(each, "SIGKILL");
    await status;
  }

  /** Kills its connections, as a cut cable does; it takes new ones. */
  async cut(): Promise<void> {
    await this.#signalConnections("SIGKILL");
    await eventually("the connections are gone", async () => (await this.#descendants()).length === 0, {
      everyMs: 10,
    });
  }

  /** Its connections stay open but nothing answers on them; it takes new ones. */
  freeze = (): Promise<void> => this.#signalConnections("SIGSTOP");
  /** As if the whole host stood still: connections stay open, new ones are taken by the kernel alone. */
  async freezeHost(): Promise<void> {
    if (this.#listener) signal(this.#listener.pid, "SIGSTOP");
    await this.freeze();
  }
  async thaw(): Promise<void> {
    if (this.#listener) signal(this.#listener.pid, "SIGCONT");
    await this.#signalConnections("SIGCONT");
  }

  /** How many connections it has. */
  async connectionCount(): Promise<number> {
    return this.#listener ? (await childrenOf(this.#listener.pid)).length : 0;
  }

  /** New host keys, as after a new installation; its connections end. */
  async changeHostKey(): Promise<void> {
    await this.stop();
    for (const algorithm of this.#hostKeys) {
      await Deno.remove(this.hostKeyFile(algorithm));
      await Deno.remove(`${this.hostKeyFile(algorithm)}.pub`);
    }
    await this.#makeHostKeys();
    await this.start();
  }

  hostKeyFile = (algorithm = this.#hostKeys[0]): string => join(this.dir, `ssh_host_${algorithm}_key`);

  /** The host key as the dashboard pins it. */
  async hostKey(algorithm?: string): Promise<SshTarget["hostKey"]> {
    const text = await Deno.readTextFile(`${this.hostKeyFile(algorithm)}.pub`);
    const [type, key] = text.split(" ");
    return { algorithm: type!, key: key! };
  }

  /** What `ssh-keygen -l` says of the host key. */
  async fingerprint(algorithm?: string): Promise<string> {
    return (await run(["ssh-keygen", "-l", "-f", this.hostKeyFile(algorithm)])).stdout.split(" ")[1]!;
  }

  async target(username = "root"): Promise<SshTarget> {
    return { address: this.address, port: this.port, username, hostKey: await this.hostKey() };
  }

  /** Lets whoever has this key in as that account; `line` may begin with options. */
  async authorize(username: string, line: string): Promise<void> {
    await Deno.writeTextFile(join(this.dir, "authorized_keys", username), `${line}\n`, { append: true });
  }

  /** What it logged lately. */
  log = (): string => this.#listener?.stderrTail() ?? "";

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.dir, { recursive: true });
  }

  get #configFile(): string {
    return join(this.dir, "sshd_config");
  }

  get #hostKeys(): readonly string[] {
    return this.options.hostKeys ?? ["ed25519", "ecdsa"];
  }

  async #makeHostKeys(): Promise<void> {
    for (const algorithm of this.#hostKeys) {
      await run(["ssh-keygen", "-q", "-t", algorithm, "-N", "", "-f", this.hostKeyFile(algorithm)]);
    }
  }

  #config(): string {
    const { passwords = false, config = [] } = this.options;
    return [
      ...config,
      `ListenAddress ${this.address}:${this.port}`,
      ...this.#hostKeys.map((algorithm) => `HostKey ${this.hostKeyFile(algorithm)}`),
      `AuthorizedKeysFile ${this.dir}/authorized_keys/%u .ssh/authorized_keys`,
      "StrictModes no",
      "PidFile none",
      "PermitRootLogin yes",
      `UsePAM ${passwords ? "yes" : "no"}`,
      `PasswordAuthentication ${passwords ? "yes" : "no"}`,
      "KbdInteractiveAuthentication no",
      "MaxStartups 100",
      // Attempts of tests that are refused would slow down those after them.
      "LoginGraceTime 20",
      "Subsystem sftp internal-sftp",
    ].join("\n") + "\n";
  }

  async #answers(): Promise<boolean> {
    using connection = await Deno.connect({ hostname: this.address, port: this.port });
    return await connection.read(new Uint8Array(1)) === 1;
  }

  #descendants = (): Promise<number[]> =>
    this.#listener ? descendantsOf(this.#listener.pid) : Promise.resolve([]);

  async #signalConnections(name: Deno.Signal): Promise<void> {
    for (const pid of await this.#descendants()) signal(pid, name);
  }
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A system account of the test's own on this machine; nothing but a name that may sign in by key. */
export class TestAccount implements AsyncDisposable {
  private constructor(readonly username: string) {}

  static async create(): Promise<TestAccount> {
    const username = `kvmvdi-t${crypto.randomUUID().slice(0, 8)}`;
    // `*` has no password but, unlike `!`, is not locked for sshd without PAM.
    await run([
      "useradd",
      "--system",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      "-p",
      "*",
      username,
    ]);
    return new TestAccount(username);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its last connection may still be ending.
    await eventually("the account is removed", async () => {
      await run(["userdel", this.username]);
      return true;
    });
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  try {
    const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
    return text.split(" ").filter(Boolean).map(Number);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function descendantsOf(pid: number): Promise<number[]> {
  const children = await childrenOf(pid);
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()];
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0));
    });
  });
}
