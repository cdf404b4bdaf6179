/** Looks into a running demo guest (scripts/demo_guest) through its QEMU guest agent. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { run } from "../../lib/process.ts";
import { eventually } from "./eventually.ts";

export interface GuestOutput {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface Guest {
  /** Waits until the guest has booted as far as its agent answers. */
  ready(timeoutMs?: number): Promise<void>;
  /** Runs a program inside the guest and waits for its end. */
  exec(argv: string[]): Promise<GuestOutput>;
  readFile(path: string): Promise<string>;
  /** Writes a file and has the guest flush it to its disk. */
  writeFile(path: string, text: string): Promise<void>;
  /** How often this disk has booted, counted by the guest on /data. */
  bootCount(): Promise<number>;
  /** The last line typed on the guest's screen, once Enter was pressed; empty when nothing was. */
  lastTyped(): Promise<string>;
}

const Reply = z.object({ return: z.record(z.string(), z.unknown()) });
const ExecStarted = z.object({ pid: z.int() });
const ExecStatus = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  "out-data": z.string().default(""),
  "err-data": z.string().default(""),
});

/** The guest of a libvirt domain, by the domain's name; `enter` leads to a libvirt in a namespace. */
export function guestOf(domain: string, enter: readonly string[] = []): Guest {
  async function ask(execute: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const command = JSON.stringify({ execute, arguments: args });
    const { stdout } = await run([
      ...enter,
      ...["virsh", "-q", "-c", "qemu:///system", "qemu-agent-command", domain, command],
    ]);
    return Reply.parse(JSON.parse(stdout)).return;
  }

  async function exec(argv: string[]): Promise<GuestOutput> {
    const [path, ...arg] = argv;
    const { pid } = ExecStarted.parse(await ask("guest-exec", { path, arg, "capture-output": true }));
    const status = await eventually(`${argv.join(" ")} in ${domain}`, async () => {
      const now = ExecStatus.parse(await ask("guest-exec-status", { pid }));
      return now.exited && now;
    });
    return {
      exitCode: status.exitcode ?? -1,
      stdout: Buffer.from(status["out-data"], "base64").toString(),
      stderr: Buffer.from(status["err-data"], "base64").toString(),
    };
  }

  async function execWell(argv: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await exec(argv);
    if (exitCode !== 0) throw new Error(`${argv.join(" ")} in ${domain}: exit code ${exitCode}: ${stderr}`);
    return stdout;
  }

  return {
    exec,
    async ready(timeoutMs = 60_000) {
      await eventually(`${domain} answers`, async () => !!await ask("guest-ping"), {
        timeoutMs,
        everyMs: 250,
      });
    },
    readFile: (path) => execWell(["/bin/cat", path]),
    async writeFile(path, text) {
      await execWell(["/bin/sh", "-c", 'printf %s "$1" > "$2" && sync', "sh", text, path]);
    },
    bootCount: async () => Number(await execWell(["/bin/cat", "/run/boots"])),
    lastTyped: async () => (await execWell(["/bin/tail", "-n", "1", "/run/typed"])).trimEnd(),
  };
}
