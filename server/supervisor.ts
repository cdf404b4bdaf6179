/**
 * The part that stays root: it starts the agent as root and the dashboard as its own user, starts again what dies, and
 * ends both when it ends. The children read an empty standard input that closes with this process, however it ends.
 */
import { AppError } from "../contracts/errors.ts";
import { lookUpAccount } from "../lib/accounts.ts";
import type { ModeContext } from "../lib/cli.ts";
import type { Logger } from "../lib/log.ts";
import { type RunningProcess, spawn } from "../lib/process.ts";
import { selfCommand } from "../lib/version.ts";
import { type DashboardConfig, localAgentSocket } from "./config.ts";
import { handOver } from "./hand_over.ts";
import { waitUnlessAborted } from "../lib/wait.ts";

interface Child {
  name: "agent" | "dashboard";
  argv: string[];
  uid?: number;
  gid?: number;
}

/** The agent's unix socket is for members of this group. */
const socketGroup = "kvm-vdi";
const restartDelaysMs = [200, 500, 1_000, 2_000, 5_000, 10_000];
/** A child that has run this long has proved that it can. */
const provenMs = 30_000;
const drainMs = 15_000;

/** Runs until the signal aborts; the agent ends after the dashboard, which still talks to it. Returns the exit code. */
export async function supervise(config: DashboardConfig, { signal, log }: ModeContext): Promise<number> {
  const owner = await findUser(config.user);
  await handOver(config.dataDir, owner);
  const agentFailed = new AbortController();
  const dashboardEnded = new AbortController();
  const agent = config.localHypervisor
    ? keepRunning(
      { name: "agent", argv: selfCommand(agentArgs(config, log.level)) },
      dashboardEnded.signal,
      log,
    )
      .finally(() => agentFailed.abort())
    : 0;
  const dashboard: Child = { name: "dashboard", argv: selfCommand(dashboardArgs()), ...owner };
  const code = await keepRunning(dashboard, AbortSignal.any([signal, agentFailed.signal]), log)
    .finally(() => dashboardEnded.abort());
  return code || await agent;
}

/** Our own arguments again: the child finds the same environment and the same file. */
const dashboardArgs = () => [...Deno.args, "--exit-with-parent"];

function agentArgs(config: DashboardConfig, logLevel: string): string[] {
  const flags: Record<string, string | null> = {
    "--socket": localAgentSocket(config),
    "--state-dir": config.agentStateDir,
    "--image-dir": config.imageDir,
    "--iso-dir": config.isoDir,
    "--scratch-dir": config.scratchDir,
    "--connect": config.libvirtUri,
    "--domain-type": config.domainType === "auto" ? null : config.domainType,
    "--log-level": logLevel,
  };
  const set = Object.entries(flags).flatMap(([flag, value]) => value === null ? [] : [flag, value]);
  return ["agent", ...set, "--exit-with-parent"];
}

/**
 * Starts the child, and again whenever it dies, at first at once and then less and less often. A child whose very first
 * run ends with an error of its own (a wrong option, a port in use) is given up: its code is returned.
 */
async function keepRunning(child: Child, signal: AbortSignal, log: Logger): Promise<number> {
  for (let deaths = 0, first = true; !signal.aborted; first = false) {
    const startedAt = performance.now();
    const running = start(child);
    const status = await untilEnded(running, signal);
    if (signal.aborted) return 0;
    const ranMs = performance.now() - startedAt;
    if (first && status.code !== 0 && status.signal === null && ranMs < provenMs) return status.code;
    deaths = ranMs > provenMs ? 1 : deaths + 1;
    const delayMs = restartDelaysMs[Math.min(deaths, restartDelaysMs.length) - 1]!;
    log.error({ child: child.name, ...status, delayMs }, `the ${child.name} ended; it is started again`);
    await waitUnlessAborted(delayMs, signal);
  }
  return 0;
}

function start({ argv, uid, gid }: Child): RunningProcess {
  return spawn(argv, { stdin: true, stdout: "inherit", stderr: "inherit", uid, gid, cwd: "/" });
}

async function untilEnded(child: RunningProcess, signal: AbortSignal) {
  const stop = () => void child.stop(drainMs);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await child.status;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Who the dashboard becomes: the user, in the group that may talk to the agent. */
async function findUser(name: string): Promise<{ uid: number; gid: number }> {
  const user = await lookUpAccount("passwd", name);
  if (user === null) {
    throw new AppError(
      "invalid",
      `The system has no user ${name}, as which the dashboard would run. Make it with\n` +
        `  useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${name}\n` +
        `or name another with --user.`,
    );
  }
  const uid = Number(user[2]);
  if (uid === 0) {
    throw new AppError("invalid", `The dashboard does not run as root: --user ${name} is no good.`);
  }
  const group = await lookUpAccount("group", socketGroup);
  return { uid, gid: Number(group?.[2] ?? user[3]) };
}
