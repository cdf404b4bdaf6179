/** A host of its own (see own_libvirt.ts) on which nothing of KVM-VDI is installed yet, with its agent once it is. */
import type { Hello } from "../../contracts/agent.ts";
import { ProcessError, run } from "../../lib/process.ts";
import { SocketAgent } from "../../server/agents/socket_agent.ts";
import { packedExecutable } from "./executables.ts";
import { eventually } from "./eventually.ts";
import { OwnLibvirt } from "./own_libvirt.ts";

export const installedPath = "/usr/local/bin/kvm-vdi";

export class BareHost implements AsyncDisposable {
  /** The agent in there, as root reaches it from here. */
  readonly agent: SocketAgent;

  private constructor(readonly libvirt: OwnLibvirt) {
    this.agent = new SocketAgent(libvirt.path("/run/kvm-vdi/agent.sock"));
  }

  static async start(): Promise<BareHost> {
    return new BareHost(await OwnLibvirt.start({ ownAccounts: true }));
  }

  run = async (...argv: string[]): Promise<string> =>
    (await run([...this.libvirt.enter, ...argv])).stdout.trim();

  sh = (script: string): Promise<string> => this.run("sh", "-c", script);

  /** Runs an executable's `agent --install`; returns what it said. Guests are emulated. */
  install = (flags: string[] = [], executable = packedExecutable): Promise<string> =>
    this.run(executable, "agent", "--install", "--domain-type", "qemu", ...flags);

  /** Runs a command that must fail; returns its exit code and what it said. */
  async failing(...argv: string[]): Promise<{ code: number | null; stderr: string }> {
    try {
      await this.run(...argv);
    } catch (error) {
      if (error instanceof ProcessError) return { code: error.code, stderr: error.stderr };
      throw error;
    }
    throw new Error(`${argv.join(" ")} has not failed`);
  }

  /** Waits until an agent answers that is as asked for. */
  untilHello = (what: string, check: (hello: Hello) => boolean, timeoutMs = 20_000): Promise<Hello> =>
    eventually(what, async () => {
      const hello = await this.agent.hello();
      return check(hello) && hello;
    }, { timeoutMs });

  /** Its files, as they are reached from here. */
  readFile = (path: string): Promise<string> => Deno.readTextFile(this.libvirt.path(path));

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.close();
    await this.libvirt[Symbol.asyncDispose]();
  }
}
