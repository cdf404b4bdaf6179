/** `kvm-vdi agent --install`: makes this host a hypervisor. Doing it again repairs or updates what is there. */
import { dirname } from "node:path";
import { parse, stringify } from "smol-toml";
import { AppError } from "../../contracts/errors.ts";
import { besideExecutable, replaceExecutable, sha256Of } from "../../lib/executable_file.ts";
import { run } from "../../lib/process.ts";
import { isPacked } from "../../lib/version.ts";
import { accountName, authorizeKeys, ensureAccount, parseAuthorizedKey, readIfPresent } from "./account.ts";
import { requirePackages } from "./packages.ts";
import {
  agentLogPath,
  hasSystemd,
  requireOwnAgent,
  startProcess,
  startUnit,
  stopRunning,
  writeUnit,
} from "./service.ts";
import { unitName, unitPath } from "./unit.ts";

export const installedPath = "/usr/local/bin/kvm-vdi";
const configPath = "/etc/kvm-vdi/agent.toml";

export interface InstallOptions {
  authorizedKeys: readonly string[];
  installPackages: boolean;
  socketPath: string;
  /** Keys of agent.toml with values that are not the defaults. */
  settings: Record<string, string>;
  /** Told what is being done. */
  say(text: string): void;
}

/** @throws {AppError} with what to do; what was done so far stays, and the next try goes on from there. */
export async function install(options: InstallOptions): Promise<void> {
  requireRoot("Install");
  const { say, socketPath } = options;
  options.authorizedKeys.forEach(parseAuthorizedKey);
  await requireOwnAgent(socketPath);
  await requirePackages(options.installPackages, say);
  const home = await ensureAccount(say);
  if (options.authorizedKeys.length > 0) {
    await authorizeKeys(home, options.authorizedKeys);
    say(`${options.authorizedKeys.length} dashboard key(s) may open the agent's socket as ${accountName}`);
  }
  const configured = await writeConfig(options.settings);
  const replaced = await copyItself(say);
  if (await hasSystemd()) {
    const unitChanged = await writeUnit(installedPath);
    say(`starting ${unitName}`);
    await startUnit(socketPath, configured || replaced || unitChanged);
    say(`${unitName} runs and starts at every boot`);
  } else {
    await startProcess(installedPath, socketPath, configured || replaced);
    say(
      "systemd is not running here: the agent was started as a process and will not come back after a reboot; " +
        `start \`${installedPath} agent\` from your init system. It logs to ${agentLogPath}`,
    );
  }
}

/** Stops the agent and removes it. Images, machines and settings stay. */
export async function uninstall(socketPath: string, say: (text: string) => void): Promise<void> {
  requireRoot("Uninstall");
  if (await hasSystemd() && await readIfPresent(unitPath) !== "") {
    await run(["systemctl", "disable", "--now", unitName]);
    await Deno.remove(unitPath);
    await run(["systemctl", "daemon-reload"]);
  } else {
    await stopRunning(socketPath);
  }
  await Deno.remove(installedPath).catch(ignoreMissing);
  say("the agent is stopped and removed; machines, images, settings and the user kvm-vdi stay");
}

function requireRoot(what: string): void {
  if (!isPacked) {
    throw new AppError(
      "invalid",
      `${what} the agent: only the executable can do that. Make it with scripts/compile, then use dist/kvm-vdi.`,
    );
  }
  if (Deno.uid() !== 0) throw new AppError("invalid", `${what} the agent: this needs root. Use sudo.`);
}

/** Settings that were given or are there already; returns whether anything is different now. */
async function writeConfig(settings: Record<string, string>): Promise<boolean> {
  await Deno.mkdir(dirname(configPath), { recursive: true, mode: 0o755 });
  const present = parse(await readIfPresent(configPath));
  if (Object.entries(settings).every(([key, value]) => present[key] === value)) return false;
  const text = `# Settings of this host's agent: kvm-vdi agent --help lists them.\n${
    stringify({ ...present, ...settings })
  }`;
  await Deno.writeTextFile(`${configPath}.new`, text, { mode: 0o644 });
  await Deno.rename(`${configPath}.new`, configPath);
  return true;
}

/** Returns whether another executable was there, or none. */
async function copyItself(say: (text: string) => void): Promise<boolean> {
  const own = Deno.execPath();
  if (await sha256Of(own) === await sha256Of(installedPath)) return false;
  say(`installing ${installedPath}`);
  await Deno.mkdir(dirname(installedPath), { recursive: true, mode: 0o755 });
  const copy = besideExecutable(installedPath);
  try {
    await Deno.copyFile(own, copy);
    await replaceExecutable(copy, installedPath);
  } catch (error) {
    await Deno.remove(copy).catch(ignoreMissing);
    throw error;
  }
  return true;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
