/**
 * Where the agent keeps files and how it runs guests. It is started with values; what the API changed since then is in
 * STATE-DIR/settings.json and wins over them.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { AppError, invalidInput } from "../contracts/errors.ts";
import { AgentSettings } from "../contracts/hypervisor.ts";
import type { AgentConfig } from "./config.ts";
import { findClosedParents } from "./directories.ts";

const Kept = z.object({
  settings: AgentSettings.partial(),
  /** Directories that were in use before: files of machines stay there until they are made anew. */
  formerImageDirs: z.array(z.string()),
  formerScratchDirs: z.array(z.string()),
});
type Kept = z.infer<typeof Kept>;

const directoryKeys = ["imageDir", "isoDir", "scratchDir"] as const;

export class Settings {
  #kept: Kept;

  private constructor(private readonly started: AgentConfig, kept: Kept) {
    this.#kept = kept;
  }

  /** @throws {AppError} `invalid` when the file cannot be understood. */
  static async load(started: AgentConfig): Promise<Settings> {
    return new Settings(started, await readKept(pathOf(started)));
  }

  /** What is in force. */
  get config(): AgentConfig {
    return { ...this.started, ...this.#kept.settings };
  }

  get current(): AgentSettings {
    return settingsOf(this.config);
  }

  /** Where images of the agent's own may lie; the directory for new ones first. */
  imageDirs(): string[] {
    return [this.config.imageDir, ...this.#kept.formerImageDirs];
  }

  scratchDirs(): string[] {
    return [this.config.scratchDir, ...this.#kept.formerScratchDirs];
  }

  /**
   * Checks the changes, keeps them and puts them in force.
   * @throws {AppError} `invalid` naming the field when a directory cannot be used.
   */
  async change(changes: Partial<AgentSettings>): Promise<void> {
    const wanted = { ...changes };
    for (const key of directoryKeys) {
      const path = wanted[key];
      if (path !== undefined) wanted[key] = await requireUsableDirectory(resolve(path), key);
    }
    const before = this.current;
    const settings = { ...this.#kept.settings, ...wanted };
    const after = { ...before, ...wanted };
    const kept: Kept = {
      settings,
      formerImageDirs: former(this.imageDirs(), after.imageDir),
      formerScratchDirs: former(this.scratchDirs(), after.scratchDir),
    };
    const path = pathOf(this.started);
    await Deno.writeTextFile(`${path}.partial`, JSON.stringify(kept, null, 2) + "\n");
    await Deno.rename(`${path}.partial`, path);
    this.#kept = kept;
  }
}

export const settingsOf = (
  { imageDir, isoDir, scratchDir, domainType, displayListen }: AgentConfig,
): AgentSettings => ({
  imageDir,
  isoDir,
  scratchDir,
  domainType,
  displayListen,
});

const former = (dirs: string[], current: string): string[] => dirs.filter((dir) => dir !== current);

const pathOf = ({ stateDir }: Pick<AgentConfig, "stateDir">): string => join(stateDir, "settings.json");

async function readKept(path: string): Promise<Kept> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { settings: {}, formerImageDirs: [], formerScratchDirs: [] };
    }
    throw error;
  }
  try {
    return Kept.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? invalidInput("", cause).message : String(cause);
    throw new AppError("invalid", `Read ${path}: ${why}. Correct the file, or remove it.`, { cause });
  }
}

/** Nothing of the system's own may become a directory in which the agent lists and removes files. */
const systemDirectories =
  /^\/(bin|boot|dev|etc|lib|lib32|lib64|proc|root|run|sbin|sys|usr)(\/|$)|^\/(var|home|srv|mnt|media|opt|tmp|var\/lib|var\/log|var\/tmp|var\/cache)?$/;

/** Makes the directory if need be, and returns its path without symbolic links. */
async function requireUsableDirectory(path: string, key: string): Promise<string> {
  const refuse = (message: string, cause?: unknown) =>
    new AppError("invalid", `Use ${path} as ${key}: ${message}`, {
      cause,
      details: [{ path: key, message }],
    });
  const requireOwn = (real: string) => {
    if (systemDirectories.test(real)) throw refuse("it is a directory of the system. Use one of its own.");
  };
  requireOwn(path);
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o711 });
    const real = await Deno.realPath(path);
    requireOwn(real);
    const probe = await Deno.makeTempFile({ dir: real, prefix: ".kvm-vdi-" });
    await Deno.remove(probe);
    const [closed] = await findClosedParents(real);
    if (closed === undefined) return real;
    throw refuse(`QEMU's user cannot get through ${closed}. Allow it: chmod o+x ${closed}`);
  } catch (error) {
    if (error instanceof AppError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw refuse(`it cannot be made or written to (${why}).`, error);
  }
}
