import { Command, CommanderError, Option } from "commander";
import { z } from "zod";
import { AppError } from "../contracts/errors.ts";
import { describeSettings, loadConfig, type Setting } from "./config.ts";
import { createLogger, type Logger, logLevels } from "./log.ts";

/** Exit codes that every mode shares. A mode's `run` may return further ones, which its help documents. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export interface ModeContext {
  /** Aborts on SIGTERM and SIGINT: drain, then let `run` return. */
  signal: AbortSignal;
  log: Logger;
}

/** One mode of the program, as its `main.ts` exports it under the name `command`. Made by `defineMode`. */
export interface ModeCommand {
  name: string;
  summary: string;
  /** Every setting of the mode: flags, `KVM_VDI_*`, TOML keys, defaults and help texts all come from it. */
  options: z.ZodObject;
  /** Text after the list of options: exit codes, examples. */
  helpFooter?: string;
  /** Works until the signal aborts; returns the exit code, 0 when it returns nothing. */
  run(options: Record<string, unknown>, context: ModeContext): Promise<number | void>;
}

/**
 * Declares a mode. `options` is one flat zod object: key `dataDir` is the flag `--data-dir`, the variable
 * `KVM_VDI_DATA_DIR` and the TOML key `data-dir`; `.describe()` is its help, `.default()` its default.
 * `run` gets the parsed options.
 */
export function defineMode<S extends z.ZodObject>(mode: {
  name: string;
  summary: string;
  options: S;
  helpFooter?: string;
  run(options: z.output<S>, context: ModeContext): Promise<number | void>;
}): ModeCommand {
  return { ...mode, run: (options, context) => mode.run(options as z.output<S>, context) };
}

/** A row of the command table: the mode's code is loaded only when it is asked for. */
export interface ModeEntry {
  name: string;
  summary: string;
  load(): Promise<ModeCommand>;
}

/** Runs the program with its arguments and returns its exit code. */
export async function runCli(modes: readonly ModeEntry[], args: readonly string[]): Promise<number> {
  const program = new Command("kvm-vdi")
    .description("Virtual desktops on plain Linux hosts with libvirt and QEMU.")
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError("(kvm-vdi --help lists the commands)");
  const asked = modes.find(({ name }) => name === args[0]);
  let work: (() => Promise<number>) | undefined;
  for (const entry of modes) {
    const command = program.command(entry.name).description(entry.summary);
    if (entry !== asked) continue;
    const mode = await entry.load();
    addOptions(command, mode);
    command.action((flags: Record<string, unknown>) => {
      work = () => runMode(mode, flags);
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  return await work?.() ?? exitCodes.usage;
}

function addOptions(command: Command, mode: ModeCommand): void {
  command.exitOverride().allowExcessArguments(false).showHelpAfterError("(--help lists the options)");
  for (const setting of describeSettings(withLogLevel(mode.options))) command.addOption(optionOf(setting));
  command.option(
    "--config <file>",
    `settings as TOML (default: /etc/kvm-vdi/${mode.name}.toml if it is there)`,
  );
  const sources =
    `Every option can also be a KVM_VDI_* variable (--data-dir: KVM_VDI_DATA_DIR) or a key of the
configuration file (data-dir = ...). Flags win over variables, variables over the file.`;
  command.addHelpText("after", `\n${sources}\n${mode.helpFooter ? `\n${mode.helpFooter}\n` : ""}`);
}

function optionOf({ name, kind, description, defaultValue, choices }: Setting): Option {
  const notes = [
    choices && `one of: ${choices.join(", ")}`,
    defaultValue !== undefined && defaultValue !== null && kind !== "boolean" && !isEmptyList(defaultValue) &&
    `default: ${shown(defaultValue)}`,
    kind === "list" && "may be repeated",
  ].filter(Boolean);
  const help = notes.length > 0 ? `${description} (${notes.join("; ")})` : description;
  if (kind === "boolean") {
    return new Option(defaultValue === true ? `--no-${name}` : `--${name}`, help).default(undefined);
  }
  if (kind === "list") {
    return new Option(`--${name} <value>`, help).argParser((value: string, before: string[] | undefined) => [
      ...(before ?? []),
      value,
    ]);
  }
  return new Option(`--${name} <${kind === "number" ? "number" : "value"}>`, help);
}

const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0;

function shown(value: unknown): string {
  return typeof value === "string" ? value || '""' : JSON.stringify(value);
}

/** Every mode can be told what to log. */
function withLogLevel(options: z.ZodObject) {
  return options.safeExtend({
    logLevel: z.enum(logLevels).default("info").describe("least severity that is logged"),
  });
}

async function runMode(mode: ModeCommand, flags: Record<string, unknown>): Promise<number> {
  const { config: file, ...given } = z.looseObject({ config: z.string().optional() }).parse(flags);
  using shutdown = watchSignals();
  let log = createLogger({ mode: mode.name });
  try {
    const sources = { mode: mode.name, flags: given, env: Deno.env.toObject(), file };
    const options = await loadConfig(withLogLevel(mode.options), sources);
    log = createLogger({ mode: mode.name, level: z.enum(logLevels).parse(options.logLevel) });
    return await mode.run(options, { signal: shutdown.signal, log }) ?? exitCodes.ok;
  } catch (error) {
    if (shutdown.signal.aborted && error === shutdown.signal.reason) return exitCodes.ok;
    if (error instanceof AppError) {
      console.error(`kvm-vdi ${mode.name}: ${error.message}`);
      if (error.cause) log.debug({ err: error.cause }, "cause");
      return error.code === "invalid" ? exitCodes.usage : exitCodes.failed;
    }
    log.fatal({ err: error }, `${mode.name} failed`);
    return exitCodes.failed;
  }
}

/** The first SIGTERM or SIGINT asks for a drain through the signal, the second ends the program at once. */
function watchSignals(): { signal: AbortSignal } & Disposable {
  const abort = new AbortController();
  const stop = () => {
    if (abort.signal.aborted) Deno.exit(exitCodes.interrupted);
    abort.abort(new DOMException("The program is stopping.", "AbortError"));
  };
  for (const name of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(name, stop);
  // Signal listeners alone do not keep the runtime alive while a mode waits for one.
  const keepAlive = setInterval(() => {}, 3_600_000);
  return {
    signal: abort.signal,
    [Symbol.dispose]: () => {
      clearInterval(keepAlive);
      for (const name of ["SIGTERM", "SIGINT"] as const) Deno.removeSignalListener(name, stop);
    },
  };
}

/** Resolves when the signal aborts: what a server's `run` awaits between start and drain. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
