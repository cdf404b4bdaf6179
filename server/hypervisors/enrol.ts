/**
 * Enrolment: the dashboard installs its own executable as the agent of another host. An account that may administer the
 * host is used once for that. Its password or key is in memory only, until the job has taken it.
 */
import { z } from "zod";
import { AppError } from "../../contracts/errors.ts";
import type { EnrolCredentials, SshTarget } from "../../contracts/hypervisor.ts";
import type { Job } from "../../contracts/job.ts";
import { SshLink } from "../agents/ssh/ssh_link.ts";
import { waitUnlessAborted } from "../../lib/wait.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { JobBehaviour, LocalOperation } from "../jobs/service.ts";
import { RootShell, signInMethods } from "./enrol_account.ts";
import { type OwnExecutable, ownExecutable, requireOwnExecutable } from "./own_executable.ts";
import { quote, RemoteShell } from "./remote_shell.ts";
import { addressOf, requireHypervisor, sshOf } from "./service.ts";
import * as store from "./store.ts";

type Credentials = z.output<typeof EnrolCredentials>;

/** The account that `kvm-vdi agent --install` makes for dashboards, and where it puts the agent. */
const agentAccount = "kvm-vdi";
const installedPath = "/usr/local/bin/kvm-vdi";
/** The first connection may find sshd busy with us. */
const connectTimeoutMs = 60_000;
const libvirtTimeoutMs = 10_000;

/** Of enrolments that have not begun; only the token is ever written down. */
const waiting = new Map<string, Credentials>();
const Input = z.object({ token: z.string() });

export const enrolment = (app: App): JobBehaviour => ({
  run: (operation) => runEnrolment(app, operation),
  interrupted: "The dashboard was restarted meanwhile and has forgotten the password or key, as it should. " +
    "Enrol the hypervisor again.",
});

/** @throws {AppError} naming what stands in the way, before anything is done. */
export function checkEnrolment(ssh: Pick<SshTarget, "username"> | null, credentials: Credentials): void {
  requireOwnExecutable();
  if (!ssh) {
    throw new AppError("conflict", "An agent on the dashboard's own host is not installed over SSH.");
  }
  if (ssh.username !== agentAccount) {
    const message = `must be ${agentAccount}, which is the account that the installation makes`;
    throw new AppError("invalid", `ssh.username: ${message}`, {
      details: [{ path: "ssh.username", message }],
    });
  }
  signInMethods(credentials);
}

/**
 * Starts the job that installs the agent, or repairs or updates it.
 * @throws {AppError} `invalid` naming the field; `conflict` if the hypervisor is busy.
 */
export async function startEnrolment(
  app: App,
  hypervisorId: string,
  credentials: Credentials,
  actor: Actor,
): Promise<Job> {
  const row = await requireHypervisor(app, hypervisorId);
  const ssh = sshOf(row);
  checkEnrolment(ssh, credentials);
  const token = crypto.randomUUID();
  waiting.set(token, credentials);
  const job = await app.jobs.start({
    kind: "enrol-hypervisor",
    subject: { id: hypervisorId, name: row.name },
    by: actor,
    input: { token },
    progress: { stage: "Connecting" },
  }).catch((error) => {
    waiting.delete(token);
    throw error;
  });
  app.bus.publish({ type: "hypervisor", id: hypervisorId });
  void noteEnd(app, job, actor, `by ${credentials.username}@${ssh!.address}`);
  return job;
}

async function noteEnd(app: App, { id }: Job, actor: Actor, detail: string): Promise<void> {
  const { state, subjectId, subjectName, error } = await app.jobs.ended(id);
  app.bus.publish({ type: "hypervisor", id: subjectId! });
  await audit(app, {
    actor,
    action: "hypervisor.enrol",
    subjectId,
    subjectName,
    outcome: state === "succeeded" ? "ok" : "failed",
    detail: error ? `${detail}: ${error.message}` : detail,
  });
}

async function runEnrolment(app: App, op: LocalOperation): Promise<void> {
  const hypervisorId = op.job.subjectId!;
  const { token } = Input.parse(op.input);
  const credentials = waiting.get(token)!;
  waiting.delete(token);
  const row = await requireHypervisor(app, hypervisorId);
  const ssh = sshOf(row)!;
  try {
    const executable = await ownExecutable();
    const said = await installOver(app, op, { ssh, credentials, executable, socketPath: row.socket_path });
    op.report({ stage: `Connecting as ${agentAccount}`, done: 0, total: 0, unit: "items" });
    await app.agents.move(addressOf(await requireHypervisor(app, hypervisorId)));
    await untilConnected(app, hypervisorId, op.signal);
    await store.updateHypervisorRow(app.db, hypervisorId, { enrolled_at: app.now() });
    op.addItem({ id: hypervisorId, name: row.name, ok: true, message: said });
  } catch (error) {
    op.signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    throw new AppError(error.code, `${row.name} was not enrolled: ${error.message}`, { cause: error });
  }
}

interface Installation {
  ssh: SshTarget;
  credentials: Credentials;
  executable: OwnExecutable;
  socketPath: string;
}

/** Returns the last thing that the installation said. */
async function installOver(app: App, op: LocalOperation, task: Installation): Promise<string> {
  const { ssh, credentials } = task;
  const { username } = credentials;
  const link = await SshLink.connect({
    target: { ...ssh, username },
    methods: signInMethods(credentials),
    remedy:
      "Check the user name and the password or key. With a password, sshd there needs PasswordAuthentication yes" +
      (username === "root" ? ", and for root PermitRootLogin yes." : "."),
    signal: op.signal,
  });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => link.close());
  const shell = new RemoteShell(link, op.signal);
  const host = await lookAtHost(shell, username, ssh.address);
  op.report({ stage: "Checking sudo" });
  const root = await RootShell.open(shell, credentials, host.isRoot, ssh.address);
  if (host.installedSha256 === task.executable.sha256) {
    return await install(app, op, root, installedPath, task);
  }
  const path = `${host.directory}/.kvm-vdi-${crypto.randomUUID()}`;
  // This goes on when the job is cancelled.
  const cleaning = new RemoteShell(link, new AbortController().signal);
  undo.defer(async () => {
    // When the connection is gone there is nobody to ask.
    if (!link.failure) await cleaning.run(`rm -f ${quote(path)}`).catch(() => {});
  });
  await copyExecutable(op, shell, task, path);
  return await install(app, op, root, path, task);
}

interface HostFound {
  isRoot: boolean;
  /** Where the account may put a file. */
  directory: string;
  installedSha256: string | null;
}

/** @throws {AppError} `conflict` when the agent cannot run there. */
async function lookAtHost(shell: RemoteShell, username: string, address: string): Promise<HostFound> {
  const { stdout } = await shell.run(
    `echo "kvm-vdi $(uname -s) $(uname -m) $(id -u)"
for directory in "$HOME" /var/tmp /tmp; do if [ -d "$directory" ] && [ -w "$directory" ]; then break; fi; done
echo "$directory"
sha256sum ${installedPath} 2>/dev/null || echo none`,
  );
  const [, system, machine, uid, directory, sha256] =
    /^kvm-vdi (\S+) (\S+) (\d+)\n(\/.*)\n(\S+)/m.exec(stdout) ?? [];
  if (!system) {
    throw new AppError(
      "conflict",
      `the account ${username} has no usable shell on ${address}. Use one that can run commands`,
    );
  }
  if (system !== "Linux" || machine !== Deno.build.arch) {
    throw new AppError(
      "conflict",
      `${address} is ${system} on ${machine}; this dashboard's executable is for Linux on ${Deno.build.arch}`,
    );
  }
  return { isRoot: uid === "0", directory: directory!, installedSha256: sha256 === "none" ? null : sha256! };
}

async function copyExecutable(
  op: LocalOperation,
  shell: RemoteShell,
  { executable, ssh }: Installation,
  path: string,
): Promise<void> {
  const progress = { stage: "Copying the executable", total: executable.bytes, unit: "bytes" } as const;
  op.report({ ...progress, done: 0 });
  try {
    await shell.upload(executable.path, path, (done) => op.report({ ...progress, done }));
  } catch (cause) {
    op.signal.throwIfAborted();
    if (cause instanceof AppError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const mib = Math.ceil(executable.bytes / 2 ** 20);
    throw new AppError(
      "unavailable",
      `copying the executable to ${path} on ${ssh.address} failed (${why}). Are ${mib} MiB free there, and is sftp ` +
        "switched on in sshd?",
      { cause },
    );
  }
}

/** Runs the installation as root; what it says is the job's stage. */
async function install(
  app: App,
  op: LocalOperation,
  root: RootShell,
  path: string,
  { ssh, socketPath }: Installation,
): Promise<string> {
  op.report({ stage: "Installing the agent", done: 0, total: 0, unit: "items" });
  const keys = app.ownKeys.list().flatMap(({ publicKey }) => ["--authorized-key", publicKey]);
  const argv = [path, "agent", "--install", "--install-packages", "--socket", socketPath, ...keys];
  let said = "";
  const { code, stderr } = await root.run(argv.map(quote).join(" "), {
    onLine: (line) => op.report({ stage: said = line }),
  });
  if (code === 0) return said;
  const noExec = code === 126 && /permission denied/i.test(stderr)
    ? ` Is ${
      path.slice(0, path.lastIndexOf("/"))
    } mounted noexec? Use an account with another home directory.`
    : "";
  const why = stderr.replace(/^kvm-vdi agent: /m, "").trim().slice(-1500) || `exit code ${code}`;
  throw new AppError("hypervisor_failed", `installing the agent on ${ssh.address} failed: ${why}${noExec}`);
}

/** Waits for the agent, and a moment for its libvirt: without that the hypervisor is degraded, and says why. */
async function untilConnected(app: App, hypervisorId: string, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(connectTimeoutMs);
  try {
    await app.agents.untilUsable(hypervisorId, AbortSignal.any([signal, late]));
    const settled = AbortSignal.any([signal, AbortSignal.timeout(libvirtTimeoutMs)]);
    while (app.agents.status(hypervisorId).state !== "online" && !settled.aborted) {
      await waitUnlessAborted(100, settled);
    }
    signal.throwIfAborted();
  } catch (error) {
    if (!late.aborted || signal.aborted) throw error;
    const { reason } = app.agents.status(hypervisorId);
    throw new AppError(
      "unavailable",
      `the agent is installed and runs, but cannot be reached as ${agentAccount}: ${reason}`,
    );
  }
}
