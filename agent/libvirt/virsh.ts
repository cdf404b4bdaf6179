import { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import { ProcessError, run, type RunningProcess, type RunResult, spawn } from "../../lib/process.ts";
import { Turns } from "./turns.ts";
import { parseAddresses, parseDomainStats } from "./virsh_output.ts";

/** How long one command may take; a libvirtd that hangs must not hang the agent. */
const defaultTimeoutMs = 60_000;

/** Two hundred machines started at once must not be two hundred processes at once. */
const mostAtOnce = 24;

/** One argument of a process can hold 128 KiB. */
const commandsPerBatch = 800;

interface CommandOptions {
  /** Completes "Could not ...". */
  what: string;
  signal?: AbortSignal;
  stdin?: string;
  timeoutMs?: number;
}

export interface UpdateDeviceOptions {
  live?: boolean;
  config?: boolean;
  signal?: AbortSignal;
}

/**
 * libvirt through `virsh`, one method a command. Domains are named by UUID and XML goes through standard input, so
 * that no value can become an option and no secret shows up in a process list.
 * @throws {AppError} everything: `hypervisor_failed` with a `ProcessError` as cause; the signal's reason on abort.
 */
export class Virsh {
  readonly #turns = new Turns(mostAtOnce);

  constructor(readonly uri: string) {}

  /** UUIDs of the domains, in libvirt's order. Never fewer than there are: a failed listing throws. */
  async list(
    { running = false, signal }: { running?: boolean; signal?: AbortSignal } = {},
  ): Promise<string[]> {
    const { stdout } = await this.#run(["list", running ? "--state-running" : "--all", "--uuid"], {
      what: "list the domains",
      signal,
    });
    return stdout.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => requireUuid(line));
  }

  /** UUIDs of the domains whose disks must not be touched: active, in whatever state, or suspended to disk. */
  async listBusy({ signal }: { signal?: AbortSignal } = {}): Promise<Set<string>> {
    const listings = await Promise.all(
      [[], ["--all", "--with-managed-save"]].map((flags) =>
        this.#run(["list", "--uuid", ...flags], { what: "list the busy domains", signal })
      ),
    );
    return new Set(
      listings.flatMap(({ stdout }) => stdout.split("\n").map((line) => line.trim()).filter(Boolean)),
    );
  }

  /** The domain's XML: the live one of a running domain unless `inactive` asks for the persistent definition. */
  async dumpXml(
    id: string,
    options: { inactive?: boolean; securityInfo?: boolean; signal?: AbortSignal } = {},
  ): Promise<string> {
    const flags = [
      ...(options.inactive ? ["--inactive"] : []),
      ...(options.securityInfo ? ["--security-info"] : []),
    ];
    const { stdout } = await this.#run(["dumpxml", "--domain", requireUuid(id), ...flags], {
      what: `read the definition of domain ${id}`,
      signal: options.signal,
    });
    return stdout;
  }

  /** Defines or redefines a persistent domain. */
  async define(xml: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#run(["define", "--file", "/dev/stdin"], { what: "define the domain", stdin: xml, signal });
  }

  /** Starts a domain with this XML; a persistent definition of the same UUID stays as it is. */
  async create(xml: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#run(["create", "--file", "/dev/stdin"], { what: "start the domain", stdin: xml, signal });
  }

  /** Removes the persistent definition with its NVRAM, managed save and metadata; never a disk. */
  async undefine(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const flags = ["--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram"];
    await this.#on("undefine", id, flags, { what: `remove domain ${id}`, signal });
  }

  async start(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("start", id, [], { what: `start domain ${id}`, signal });
  }

  /** Asks the guest to shut down, through its agent or ACPI; returns once asked. */
  async shutdown(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("shutdown", id, [], { what: `shut down domain ${id}`, signal });
  }

  /** Asks the guest to reboot; returns once asked. */
  async reboot(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("reboot", id, [], { what: `reboot domain ${id}`, signal });
  }

  /** Pulls the plug. */
  async destroy(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("destroy", id, [], { what: `switch off domain ${id}`, signal });
  }

  /** Presses the reset button. */
  async reset(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("reset", id, [], { what: `reset domain ${id}`, signal });
  }

  async suspend(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("suspend", id, [], { what: `pause domain ${id}`, signal });
  }

  async resume(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("resume", id, [], { what: `resume domain ${id}`, signal });
  }

  /** Wakes a guest that sleeps in ACPI S3. */
  async wake(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("dompmwakeup", id, [], { what: `wake domain ${id}`, signal });
  }

  async rename(id: string, name: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#on("domrename", id, [`--new-name=${name}`], { what: `rename domain ${id}`, signal });
  }

  /** Replaces one device of the domain by its XML; the secrets in it stay out of argv. */
  async updateDevice(id: string, xml: string, { live, config, signal }: UpdateDeviceOptions): Promise<void> {
    const flags = ["--file", "/dev/stdin", ...(live ? ["--live"] : []), ...(config ? ["--config"] : [])];
    await this.#on("update-device", id, flags, {
      what: `change a device of domain ${id}`,
      stdin: xml,
      signal,
    });
  }

  /** Plugs a device into a running domain; its definition stays as it is. */
  async attachDevice(id: string, xml: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const what = `plug a device into domain ${id}`;
    await this.#on("attach-device", id, ["--file", "/dev/stdin", "--live"], { what, stdin: xml, signal });
  }

  /** Asks a running domain's guest to let go of a device; it is gone once the live XML says so. */
  async detachDevice(id: string, xml: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const what = `unplug a device from domain ${id}`;
    await this.#on("detach-device", id, ["--file", "/dev/stdin", "--live"], { what, stdin: xml, signal });
  }

  /**
   * Has the guest write everything to its disks that it holds in memory, through its agent.
   * @throws {AppError} also when the guest has no agent; it goes on as if nothing had been asked.
   */
  async flushGuest(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const what = `have the guest of domain ${id} write its files`;
    try {
      await this.#on("domfsfreeze", id, [], { what, signal, timeoutMs: 15_000 });
    } finally {
      await this.#on("domfsthaw", id, [], { what, timeoutMs: 15_000 });
    }
  }

  /** Grows the disk `target` of a running domain; the guest is told. */
  async blockResize(
    id: string,
    target: string,
    bytes: number,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    const what = `resize a disk of domain ${id}`;
    await this.#on("blockresize", id, [`--path=${target}`, `--size=${bytes}B`], { what, signal });
  }

  /** Writes the screen to a file, in whatever image format this QEMU makes (PNG or PPM). */
  async screenshot(id: string, path: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const what = `take a picture of the screen of domain ${id}`;
    await this.#on("screenshot", id, [`--file=${path}`], { what, signal, timeoutMs: 15_000 });
  }

  /** `domstats --raw` of the running domains, per domain *name*. */
  async domainStats({ signal }: { signal?: AbortSignal } = {}): Promise<Map<string, Map<string, string>>> {
    const { stdout } = await this.#run(
      ["domstats", "--raw", "--list-running", "--cpu-total", "--balloon", "--vcpu"],
      { what: "read the load of the domains", signal, timeoutMs: 15_000 },
    );
    return parseDomainStats(stdout);
  }

  /** Addresses of a running guest, without loopback and link-local ones. */
  async addresses(
    id: string,
    source: "agent" | "lease",
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<string[]> {
    const what = `read the addresses of domain ${id}`;
    const { stdout } = await this.#on("domifaddr", id, ["--source", source], {
      what,
      signal,
      timeoutMs: 10_000,
    });
    return parseAddresses(stdout);
  }

  /** Sends one QMP command to the domain's QEMU and returns what it answered. */
  async monitorCommand(
    id: string,
    command: { execute: string; arguments?: Record<string, unknown> },
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<unknown> {
    const { stdout } = await this.#on("qemu-monitor-command", id, [`--cmd=${JSON.stringify(command)}`], {
      what: `ask the QEMU of domain ${id}`,
      signal,
      timeoutMs: 10_000,
    });
    return z.object({ return: z.unknown() }).parse(JSON.parse(stdout)).return;
  }

  async capabilities({ signal }: { signal?: AbortSignal } = {}): Promise<string> {
    return (await this.#run(["domcapabilities"], { what: "read the capabilities of QEMU", signal })).stdout;
  }

  /** Versions as printed by libvirt: of the library's daemon side and of QEMU. */
  async versions({ signal }: { signal?: AbortSignal } = {}): Promise<{ libvirt: string; qemu: string }> {
    const { stdout } = await this.#run(["version"], { what: "read libvirt's version", signal });
    return {
      libvirt: /^Using library: libvirt (\S+)$/m.exec(stdout)?.[1] ?? "unknown",
      qemu: /^Running hypervisor: QEMU (\S+)$/m.exec(stdout)?.[1] ?? "unknown",
    };
  }

  async networks({ signal }: { signal?: AbortSignal } = {}): Promise<{ name: string; active: boolean }[]> {
    const what = "list the networks";
    const namesOf = async (flags: string[]) =>
      (await this.#run(["net-list", "--name", ...flags], { what, signal })).stdout
        .split("\n").map((line) => line.trim()).filter(Boolean);
    const [all, active] = await Promise.all([namesOf(["--all"]), namesOf([])]);
    return all.map((name) => ({ name, active: active.includes(name) }));
  }

  /**
   * Runs several read-only commands in one process (0.5 ms each instead of 20). The outputs come in the order of
   * the commands; the output of one that failed is empty. Only what cannot hold `;` may be put into a command.
   */
  async batch(commands: readonly string[], { signal }: { signal?: AbortSignal } = {}): Promise<string[]> {
    const outputs: string[] = [];
    for (let start = 0; start < commands.length; start += commandsPerBatch) {
      outputs.push(...await this.#runBatch(commands.slice(start, start + commandsPerBatch), signal));
    }
    return outputs;
  }

  async #runBatch(commands: readonly string[], signal: AbortSignal | undefined): Promise<string[]> {
    const marker = `@@${crypto.randomUUID()}@@`;
    // virsh goes on after a command that fails and exits as the last one did: `hostname` fails when libvirt is gone.
    const script = [...commands.flatMap((command) => [command, `echo ${marker}`]), "hostname"].join("; ");
    const { stdout } = await this.#run([script], { what: "read the domains", signal, timeoutMs: 120_000 });
    const outputs = stdout.split(marker);
    if (outputs.length !== commands.length + 1) {
      throw new AppError("hypervisor_failed", "Could not read the domains: virsh stopped in the middle.");
    }
    return outputs.slice(0, commands.length);
  }

  /** A `virsh` that prints events until it is stopped or loses libvirt. */
  watch(command: "event" | "qemu-monitor-event", options: { signal: AbortSignal }): RunningProcess {
    const flags = command === "event" ? ["--loop", "--all", "--timestamp"] : ["--loop", "--timestamp"];
    return spawn(["virsh", "-q", "-c", this.uri, command, ...flags], { ...options, diesWithParent: true });
  }

  #on(command: string, id: string, args: string[], options: CommandOptions): Promise<RunResult> {
    return this.#run([command, "--domain", requireUuid(id), ...args], options);
  }

  async #run(args: string[], { what, signal, stdin, timeoutMs }: CommandOptions): Promise<RunResult> {
    using _turn = await this.#turns.take();
    try {
      return await run(["virsh", "-q", "-c", this.uri, ...args], {
        stdin,
        signal,
        timeoutMs: timeoutMs ?? defaultTimeoutMs,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw failure(what, error);
    }
  }
}

function failure(what: string, cause: unknown): unknown {
  if (!(cause instanceof ProcessError)) return cause;
  const lines = cause.stderr.split("\n").map((line) => line.replace(/^error: /, "").trim()).filter(Boolean);
  const why = lines.length > 0 ? lines.slice(0, 3).join(": ") : cause.message;
  return new AppError("hypervisor_failed", `Could not ${what}: ${why}`, { cause });
}

/** libvirt takes any 128 bits for a UUID, also those that no RFC knows. */
function requireUuid(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text;
  throw new AppError("hypervisor_failed", `Not the UUID of a domain: '${text}'.`);
}
