import { parse, TomlError } from "smol-toml";
import { z } from "zod";
import { AppError } from "../contracts/errors.ts";

/** One setting of a mode, read off its zod schema: how it is spelled everywhere and what it takes. */
export interface Setting {
  /** Key in the schema and in the resulting object: `dataDir`. */
  key: string;
  /** Spelling on the command line (`--data-dir`) and in the TOML file (`data-dir`). */
  name: string;
  /** Spelling in the environment: `KVM_VDI_DATA_DIR`. */
  env: string;
  kind: "string" | "number" | "boolean" | "list";
  description: string;
  defaultValue: unknown;
  /** The closed set of values, when there is one. */
  choices: string[] | undefined;
}

/** Describes the settings of a schema: the source of `--help`, of the environment's names and of the file's keys. */
export function describeSettings(schema: z.ZodObject): Setting[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([key, property]) => {
    if (typeof property === "boolean") throw new TypeError(`${key}: a setting needs a type`);
    // A setting that may be absent is "one of: null, what it is".
    const typed = property.anyOf?.filter((option) =>
      typeof option !== "boolean"
    ).find(({ type }) => type !== "null") ??
      property;
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return {
      key,
      name,
      env: `KVM_VDI_${name.replaceAll("-", "_").toUpperCase()}`,
      kind: kindOf(typed.type),
      description: property.description ?? "",
      defaultValue: property.default,
      choices: typed.enum?.map(String),
    };
  });
}

function kindOf(type: string | string[] | undefined): Setting["kind"] {
  if (type === "integer" || type === "number") return "number";
  if (type === "boolean") return "boolean";
  return type === "array" ? "list" : "string";
}

export interface ConfigSources {
  mode: string;
  /** Values given as flags, by schema key. Text is converted to what the setting takes. */
  flags: Record<string, unknown>;
  env: Record<string, string | undefined>;
  /** The file to read; default `/etc/kvm-vdi/<mode>.toml`, which need not exist. */
  file?: string;
}

/** A value and where it came from, for error messages. */
interface Sourced {
  value: unknown;
  origin: string;
}

/**
 * Settles the settings of a mode: flags, else environment, else file, else the schema's defaults.
 * @throws {AppError} `invalid`, naming the flag, variable or file line that is wrong.
 */
export async function loadConfig<S extends z.ZodObject>(
  schema: S,
  sources: ConfigSources,
): Promise<z.output<S>> {
  const settings = describeSettings(schema);
  const fromFile = await readConfigFile(settings, sources);
  const chosen = new Map<string, Sourced>();
  for (const setting of settings) {
    const sourced = choose(setting, sources, fromFile);
    if (sourced) chosen.set(setting.key, sourced);
  }
  const input = Object.fromEntries([...chosen].map(([key, { value }]) => [key, value]));
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const key = String(issue.path[0] ?? "");
    const setting = settings.find((candidate) => candidate.key === key);
    const origin = chosen.get(key)?.origin ?? (setting ? `--${setting.name}` : sources.mode);
    return `${origin}: ${chosen.has(key) || !setting ? issue.message : `is required (or ${setting.env})`}`;
  });
  throw new AppError("invalid", problems.join("\n"));
}

function choose(setting: Setting, { flags, env }: ConfigSources, fromFile: Map<string, Sourced>) {
  const flag = flags[setting.key];
  if (flag !== undefined) return { value: convert(flag, setting), origin: `--${setting.name}` };
  const variable = env[setting.env];
  if (variable !== undefined) return { value: convert(variable, setting), origin: setting.env };
  return fromFile.get(setting.key);
}

/** Text from a flag or the environment as the setting's own type; what does not fit is left for the schema to refuse. */
function convert(value: unknown, { kind }: Setting): unknown {
  if (kind === "list" && typeof value === "string") return value.split(",").map((item) => item.trim());
  if (typeof value !== "string") return value;
  if (kind === "number" && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (kind === "boolean" && /^(1|true|yes|on)$/i.test(value)) return true;
  if (kind === "boolean" && /^(0|false|no|off)$/i.test(value)) return false;
  return value;
}

async function readConfigFile(
  settings: Setting[],
  { mode, file }: ConfigSources,
): Promise<Map<string, Sourced>> {
  const path = file ?? `/etc/kvm-vdi/${mode}.toml`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound && file === undefined) return new Map();
    throw new AppError("invalid", `Reading the configuration ${path} failed.`, { cause });
  }
  const values = new Map<string, Sourced>();
  for (const [name, value] of Object.entries(parseToml(text, path))) {
    const origin = `${path} line ${lineOf(text, name)}: ${name}`;
    const setting = settings.find((candidate) => candidate.name === name);
    if (!setting) {
      throw new AppError(
        "invalid",
        `${origin}: unknown setting; known: ${settings.map((s) => s.name).join(", ")}`,
      );
    }
    values.set(setting.key, { value, origin });
  }
  return values;
}

function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split("\n")[0];
    throw new AppError("invalid", `${path} line ${cause.line}: ${reason}`, { cause });
  }
}

/** The line on which a key or table of that name begins; the TOML parser does not tell. */
function lineOf(text: string, name: string): number {
  const starts = (line: string) => {
    const head = line.trim().replace(/^\[+\s*/, "").replaceAll(/["']/g, "");
    return head.startsWith(name) && /^\s*[=.\]]/.test(head.slice(name.length));
  };
  return text.split("\n").findIndex(starts) + 1;
}
