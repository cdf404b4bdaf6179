import { pino } from "pino";
import type { Bindings, ChildLoggerOptions, DestinationStream, Logger as PinoLogger } from "pino";

/** Structured logger: `log.info({ machineId }, "machine started")`. */
export type Logger = PinoLogger;

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** The mode of the program, a field of every line. */
  mode: string;
  level?: LogLevel;
  /** Default: standard error, as JSON lines, or for people when it is a terminal. */
  destination?: DestinationStream;
}

const secretKey = /(password|passwd|passphrase|ticket|token|secret|cookie|authorization|private_?key)$/i;
const redacted = "[redacted]";
const maxDepth = 8;

/** Makes a logger. Values under keys that name a secret are never written, at any depth. */
export function createLogger({ mode, level = "info", destination }: LoggerOptions): Logger {
  const log = pino(
    {
      level,
      base: { mode },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactSecrets(fields) as Record<string, unknown>,
      },
    },
    destination ?? (Deno.stderr.isTerminal() ? prettyStream : pino.destination({ fd: 2, sync: true })),
  );
  // pino's formatters do not see the bindings of children.
  const child = log.child;
  log.child = function (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) {
    return Reflect.apply(child, this, [redactSecrets(bindings), options]);
  } as typeof log.child;
  return log;
}

/** Copies a value with everything below secret keys replaced. Errors and class instances are left as they are. */
export function redactSecrets(value: unknown, depth = 0): unknown {
  if (depth > maxDepth) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => redactSecrets(item, depth + 1));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      secretKey.test(key) && item !== undefined ? redacted : redactSecrets(item, depth + 1),
    ]),
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const colours: Record<string, string> = { warn: "\x1b[33m", error: "\x1b[31m", fatal: "\x1b[31m" };

const prettyStream: DestinationStream = {
  write: (line) => void Deno.stderr.writeSync(new TextEncoder().encode(formatForPeople(line))),
};

/** Turns one JSON log line into `12:34:56 INFO  message  key=value`. */
export function formatForPeople(line: string): string {
  const { level, time, mode: _mode, msg = "", err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = String(time).slice(11, 19);
  const name = String(level).toUpperCase().padEnd(5);
  const pairs = Object.entries(fields).map(([key, value]) =>
    `  ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
  );
  const stack = err && typeof err === "object" && "stack" in err ? `\n${err.stack}` : "";
  const colour = colours[String(level)];
  const text = `${clock} ${name} ${msg}${pairs.join("")}${stack}`;
  return `${colour ? `${colour}${text}\x1b[0m` : text}\n`;
}
