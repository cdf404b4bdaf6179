import type { Hello } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import { ProcessError, run, startDetached } from "../../lib/process.ts";
import { readIfPresent } from "./account.ts";
import { askHello, untilHello } from "./hello.ts";
import { unitName, unitPath, unitText } from "./unit.ts";

/** What an agent without a service manager says. */
export const agentLogPath = "/var/log/kvm-vdi-agent.log";
/** The first start may boot a probe guest. */
const startTimeoutMs = 30_000;
/** A stopping agent cancels its jobs and waits until they have cleaned up. */
const stopTimeoutMs = 60_000;

/** sd_booted(3). */
export const hasSystemd = (): Promise<boolean> =>
  Deno.stat("/run/systemd/system").then(() => true, () => false);

/** Writes the unit file; false when it is there already. */
export async function writeUnit(executable: string): Promise<boolean> {
  const text = unitText(executable);
  if (await readIfPresent(unitPath) === text) return false;
  await Deno.writeTextFile(unitPath, text, { mode: 0o644 });
  return true;
}

/** Starts the unit, now and at every boot; again if it runs and `changed`. */
export async function startUnit(socketPath: string, changed: boolean): Promise<void> {
  await run(["systemctl", "daemon-reload"]);
  await run(["systemctl", "enable", unitName]);
  const isActive = await run(["systemctl", "is-active", "--quiet", unitName]).then(
    () => true,
    ignoreInactive,
  );
  if (changed || !isActive) {
    if (!isActive) await stopRunning(socketPath);
    await run(["systemctl", "restart", unitName]);
  }
  await requireHello(socketPath, async () => (await run(["journalctl", "-n", "20", "-u", unitName])).stdout);
}

/** Starts the agent as a process that nobody looks after; again if it runs and `changed`. */
export async function startProcess(executable: string, socketPath: string, changed: boolean): Promise<void> {
  if (!changed && await askHello(socketPath)) return;
  await stopRunning(socketPath);
  startDetached([executable, "agent"], agentLogPath);
  await requireHello(socketPath, async () => (await readIfPresent(agentLogPath)).slice(-2_000));
}

/** @throws {AppError} `conflict` when the agent on the socket, if there is one, belongs to a dashboard's service. */
export async function requireOwnAgent(socketPath: string): Promise<Hello | null> {
  const hello = await askHello(socketPath);
  if (!hello) return null;
  const args = (await readIfPresent(`/proc/${hello.pid}/cmdline`)).split("\0");
  if (args.includes("--exit-with-parent")) {
    throw new AppError(
      "conflict",
      "Install the agent: this host's agent is a part of the dashboard's own service, and needs nothing else.",
    );
  }
  return hello;
}

/**
 * Ends the agent that answers on the socket, if there is one: its jobs clean up first, machines go on.
 * @throws {AppError} `conflict` when it belongs to a dashboard's service, or does not end.
 */
export async function stopRunning(socketPath: string): Promise<void> {
  const hello = await requireOwnAgent(socketPath);
  if (!hello) return;
  Deno.kill(hello.pid, "SIGTERM");
  const ended = await untilHello(socketPath, (now) => now?.pid !== hello.pid, stopTimeoutMs);
  if (!ended) {
    throw new AppError(
      "conflict",
      `Install the agent: the one that runs (process ${hello.pid}) does not end.`,
    );
  }
}

async function requireHello(socketPath: string, readLog: () => Promise<string>): Promise<void> {
  if (await untilHello(socketPath, (hello) => hello !== null, startTimeoutMs)) return;
  const log = await readLog().catch(() => "");
  throw new AppError(
    "hypervisor_failed",
    `Install the agent: it was started but does not answer on ${socketPath}. It says:\n${log.trim()}`,
  );
}

function ignoreInactive(error: unknown): false {
  if (error instanceof ProcessError && error.code !== null) return false;
  throw error;
}
