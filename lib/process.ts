/**
 * The one place that starts processes: argv arrays, never a shell, each child in a process group of its own
 * so that ending it ends everything it started. Secrets go through `stdin`, never through argv.
 */
import { spawn as spawnDetached } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export interface RunOptions {
  /** Written to the child's standard input, which is then closed. Without it the child reads /dev/null. */
  stdin?: string | Uint8Array;
  /** Ends the whole process group when it aborts; `run` then rejects with the signal's reason. */
  signal?: AbortSignal;
  env?: Record<string, string>;
  /** Ends the child and rejects with a `ProcessError` after this time. */
  timeoutMs?: number;
  /** Called with every piece of standard output as it arrives; pieces may end in the middle of a line. */
  onStdout?: (text: string) => void;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** The kernel kills the child when this process dies, however it dies (default: the child lives on). */
  diesWithParent?: boolean;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** Standard output before decoding, for commands that print binary data. */
  stdoutBytes: Uint8Array;
}

/** How a child ended: its exit code, or the signal that killed it. */
export interface ExitStatus {
  code: number;
  signal: string | null;
}

/** A command that could not be started, ended with a failure, or took too long. */
export class ProcessError extends Error {
  override readonly name = "ProcessError";
  /** The exit code; null when the command never started. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  readonly stdout: string;

  constructor(
    readonly argv: readonly string[],
    outcome: {
      code?: number | null;
      signal?: string | null;
      stderr?: string;
      stdout?: string;
      reason?: string;
    },
    options?: ErrorOptions,
  ) {
    const { code = null, signal = null, stderr = "", stdout = "" } = outcome;
    const why = outcome.reason ?? (signal ? `was ended by ${signal}` : `ended with exit code ${code}`);
    const said = stderr.trim().slice(-2000);
    super(`${argv.join(" ")}: ${why}${said ? `: ${said}` : ""}`, options);
    this.code = code;
    this.signal = signal;
    this.stderr = stderr;
    this.stdout = stdout;
  }
}

/** How long a group gets to end by itself between SIGTERM and SIGKILL. */
const defaultGraceMs = 3_000;

/**
 * Runs a command to its end.
 * @throws {ProcessError} when it cannot be started, exits with anything but 0, or exceeds `timeoutMs`.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = startChild(argv, options, {
    stdin: options.stdin !== undefined,
    stdout: "piped",
    stderr: "piped",
  });
  let timedOut = false;
  const stop = () => void stopGroup(child, defaultGraceMs);
  const onTimeout = () => {
    timedOut = true;
    stop();
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(onTimeout, options.timeoutMs);
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    const { status, stderr, stdoutBytes } = await converse(child, options);
    const stdout = new TextDecoder().decode(stdoutBytes);
    if (options.signal?.aborted) throw options.signal.reason;
    if (timedOut) {
      throw new ProcessError(argv, { stderr, stdout, reason: `took longer than ${options.timeoutMs} ms` });
    }
    if (!status.success) throw new ProcessError(argv, { ...status, stderr, stdout });
    return { stdout, stderr, stdoutBytes };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

/** Feeds and reads a child until it has ended; a failure on our side (such as in `onStdout`) ends the child. */
async function converse(child: Deno.ChildProcess, { stdin, onStdout }: RunOptions) {
  const work = [
    collect(child.stdout, onStdout),
    collect(child.stderr),
    stdin === undefined ? undefined : feed(child.stdin, stdin),
  ] as const;
  try {
    const [stdoutBytes, stderrBytes] = await Promise.all(work);
    return { stdoutBytes, stderr: new TextDecoder().decode(stderrBytes), status: await child.status };
  } catch (error) {
    await stopGroup(child, defaultGraceMs);
    await Promise.allSettled(work);
    throw error;
  }
}

export interface SpawnOptions extends Pick<RunOptions, "env" | "cwd" | "uid" | "gid" | "diesWithParent"> {
  /** Stops the child when it aborts. */
  signal?: AbortSignal;
  /** Give the child a standard input to `write` to; otherwise it reads /dev/null. */
  stdin?: boolean;
  /** `piped` (default): read it with `lines()`. */
  stdout?: "piped" | "inherit" | "null";
  /** `piped` (default): read into `onStderrLine` and `stderrTail()`. */
  stderr?: "piped" | "inherit" | "null";
  onStderrLine?: (line: string) => void;
}

/** A child that runs for long. */
export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /** Settles when the child has ended; never rejects. */
  readonly status: Promise<ExitStatus>;
  /**
   * Standard output line by line, without line ends; ends with the child. Can be used once, and before the child ends:
   * output that nobody reads is dropped then.
   */
  lines(): AsyncIterableIterator<string>;
  /** @throws when the child has closed its standard input. */
  write(text: string): Promise<void>;
  closeStdin(): Promise<void>;
  /** The last lines of standard error, for messages. */
  stderrTail(): string;
  /** SIGTERM to the whole group, SIGKILL after `graceMs`; resolves when the child has ended. */
  stop(graceMs?: number): Promise<ExitStatus>;
}

/**
 * Starts a long-lived child. Stop it, or let `signal` stop it.
 * @throws {ProcessError} when it cannot be started.
 */
export function spawn(argv: readonly string[], options: SpawnOptions = {}): RunningProcess {
  options.signal?.throwIfAborted();
  const { stdout = "piped", stderr = "piped" } = options;
  const child = startChild(argv, options, { stdin: options.stdin === true, stdout, stderr });
  const tail: string[] = [];
  const stderrRead = stderr === "piped" ? readStderr(child.stderr, tail, options.onStderrLine) : undefined;
  const writer = options.stdin ? child.stdin.getWriter() : undefined;
  let isOutputRead = stdout !== "piped";
  const status = Promise.all([child.status, stderrRead]).then(async ([{ code, signal }]) => {
    await writer?.abort().catch(ignoreBrokenPipe);
    if (!isOutputRead) await child.stdout.cancel();
    return { code, signal };
  });
  const stop = async (graceMs = defaultGraceMs) => {
    await stopGroup(child, graceMs);
    return await status;
  };
  const onAbort = () => void stop();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  void status.then(() => options.signal?.removeEventListener("abort", onAbort));
  const requireStdin = () => {
    if (!writer) throw new ProcessError(argv, { reason: "was started without standard input" });
    return writer;
  };
  return {
    pid: child.pid,
    status,
    lines: () => {
      isOutputRead = true;
      return readLines(child.stdout);
    },
    write: (text) => requireStdin().write(new TextEncoder().encode(text)),
    closeStdin: () => requireStdin().close(),
    stderrTail: () => tail.join("\n"),
    stop,
    [Symbol.asyncDispose]: async () => void await stop(),
  };
}

/**
 * Starts a process that outlives this one, in a session of its own. What it says is appended to a file, or goes where
 * ours does. Returns its id.
 * @throws {ProcessError} when it cannot be started.
 */
export function startDetached(argv: readonly string[], logPath: string | null): number {
  const [command, ...args] = argv;
  if (command === undefined) throw new TypeError("startDetached() needs a command");
  const log = logPath === null ? null : openSync(logPath, "a", 0o640);
  try {
    const output = log ?? "inherit";
    const child = spawnDetached(command, args, { detached: true, stdio: ["ignore", output, output] });
    if (child.pid === undefined) throw new ProcessError(argv, { reason: "could not be started" });
    child.unref();
    return child.pid;
  } finally {
    if (log !== null) closeSync(log);
  }
}

/** Splits a byte stream into lines without their line ends; a last line without an end counts too. */
export async function* readLines(stream: ReadableStream<Uint8Array>): AsyncIterableIterator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  rest += decoder.decode();
  if (rest) yield rest;
}

type Pipe = "piped" | "inherit" | "null";

function startChild(
  argv: readonly string[],
  options: Pick<RunOptions, "env" | "cwd" | "uid" | "gid" | "diesWithParent">,
  pipes: { stdin: boolean; stdout: Pipe; stderr: Pipe },
): Deno.ChildProcess {
  const [command, ...args] = options.diesWithParent
    ? ["setpriv", "--pdeathsig", "KILL", "--", ...argv]
    : argv;
  if (command === undefined) throw new TypeError("run() needs a command");
  try {
    return new Deno.Command(command, {
      args,
      // Messages of virsh and qemu-img are read by code: never translated.
      env: { LC_ALL: "C", ...options.env },
      cwd: options.cwd,
      uid: options.uid,
      gid: options.gid,
      stdin: pipes.stdin ? "piped" : "null",
      stdout: pipes.stdout,
      stderr: pipes.stderr,
      detached: true,
    }).spawn();
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "is not installed" : "could not be started";
    throw new ProcessError(argv, { reason }, { cause });
  }
}

/** Ends the child's process group and waits for the child. */
async function stopGroup(child: Deno.ChildProcess, graceMs: number): Promise<void> {
  signalGroup(child.pid, "SIGTERM");
  const timer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), graceMs);
  await child.status;
  clearTimeout(timer);
}

function signalGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    // The group is gone already: that is what was asked for.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function feed(stdin: WritableStream<Uint8Array>, content: string | Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
    await writer.close();
  } catch (error) {
    ignoreBrokenPipe(error);
  }
}

/** A child may end without reading its input; its exit code says whether that is a failure. */
function ignoreBrokenPipe(error: unknown): void {
  if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  onText?: (text: string) => void,
): Promise<Uint8Array> {
  const decoder = new TextDecoder();
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
    if (onText) onText(decoder.decode(chunk, { stream: true }));
  }
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

async function readStderr(
  stream: ReadableStream<Uint8Array>,
  tail: string[],
  onLine?: (line: string) => void,
): Promise<void> {
  for await (const line of readLines(stream)) {
    tail.push(line);
    if (tail.length > 20) tail.shift();
    onLine?.(line);
  }
}
