import { join } from "node:path";
import { AppError } from "../contracts/errors.ts";
import { lookUpAccount } from "../lib/accounts.ts";

/** The group whose members may talk to the agent. */
const socketGroup = "kvm-vdi";

/**
 * Removes a socket file that nobody listens on, which is what a killed agent leaves.
 * @throws {AppError} `conflict` when an agent answers on it.
 */
export async function claimSocket(path: string): Promise<void> {
  if (await isAnswered(path)) {
    throw new AppError("conflict", `Start the agent: another one already listens on ${path}. Stop it first.`);
  }
  await Deno.remove(path).catch(ignoreMissing);
}

/** Serves HTTP on a unix socket that its owner and the group `kvm-vdi`, if there is one, can use. */
export async function serveOnSocket(
  path: string,
  handler: (request: Request) => Response | Promise<Response>,
): Promise<Deno.HttpServer<Deno.UnixAddr>> {
  const group = await lookUpAccount("group", socketGroup);
  const umask = Deno.umask(0o117);
  let server: Deno.HttpServer<Deno.UnixAddr>;
  try {
    server = Deno.serve({ path, onListen: () => {} }, handler);
  } finally {
    Deno.umask(umask);
  }
  if (group) await Deno.chown(path, null, Number(group[2]));
  return server;
}

/**
 * Makes this process the only agent of a state directory.
 * @throws {AppError} `conflict` when another one has it.
 */
export async function lockStateDir(stateDir: string): Promise<Disposable> {
  const file = await Deno.open(join(stateDir, "agent.lock"), { create: true, write: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new AppError("conflict", `Start the agent: another one works in ${stateDir}. Stop it first.`);
}

async function isAnswered(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
