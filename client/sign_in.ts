import type { MyDesktopPool } from "../contracts/desktop_pool.ts";
import { AppError } from "../contracts/errors.ts";
import { type Dashboard, Unreachable, UntrustedCertificate } from "./dashboard.ts";
import { ClientError, exitCodes } from "./exit_codes.ts";
import { persist } from "./retry.ts";
import type { Terminal } from "./terminal.ts";

export interface Credentials {
  username: string;
  password: string;
}

/** Signs in with these credentials. @throws {ClientError} when they are refused */
export async function signIn(
  { dashboard, terminal, signal }: { dashboard: Dashboard; terminal: Terminal; signal: AbortSignal },
  { username, password }: Credentials,
): Promise<void> {
  terminal.progress(`Signing in to ${dashboard.url.host} as ${username}...`);
  try {
    const { token } = await dashboard.call("signIn", { body: { username, password, kind: "token" }, signal });
    dashboard.token = token ?? null;
  } catch (error) {
    const refused = error instanceof AppError &&
      ["unauthenticated", "forbidden", "too_many_attempts"].includes(error.code);
    if (refused) throw new ClientError(exitCodes.signInRefused, error.message, { cause: error });
    throw error;
  }
}

/** Signs in with what somebody types, asking again when it is refused. */
export async function signInInteractively(
  context: { dashboard: Dashboard; terminal: Terminal; signal: AbortSignal },
  username: string | undefined,
): Promise<void> {
  const { terminal } = context;
  for (;;) {
    const name = username ?? await terminal.ask("User name: ");
    if (name === "") continue;
    const password = await terminal.askSecret(`Password of ${name}: `);
    try {
      return await signIn(context, { username: name, password });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      terminal.say(error.message);
    }
  }
}

/** The pool with this name, or the one that somebody chooses. @throws {ClientError} when there is none */
export async function choosePool(
  { dashboard, terminal, signal }: { dashboard: Dashboard; terminal: Terminal; signal: AbortSignal },
  name: string | undefined,
): Promise<MyDesktopPool> {
  const { items: pools } = await persist(
    terminal,
    signal,
    () => dashboard.call("listMyDesktopPools", { signal }),
  );
  if (pools.length === 0) {
    throw new ClientError(
      exitCodes.notEntitled,
      "You may not use any desktop pool yet. Ask your administrator.",
    );
  }
  if (name !== undefined) {
    const named = pools.find((pool) => pool.id === name || pool.name.toLowerCase() === name.toLowerCase());
    if (named) return named;
    const names = pools.map((pool) => pool.name).join(", ");
    throw new ClientError(
      exitCodes.notEntitled,
      `You have no desktop pool named ${name}. You may use: ${names}.`,
    );
  }
  if (pools.length === 1 && pools[0]) return pools[0];
  if (!terminal.isInteractive) {
    const names = pools.map((pool) => pool.name).join(", ");
    throw new ClientError(exitCodes.usage, `Say which desktop with --desktop-pool: ${names}.`);
  }
  return await askForPool(terminal, pools);
}

const availabilityWords: Record<MyDesktopPool["availability"], string> = {
  ready: "ready",
  yours: "in use by you",
  full: "nothing free",
  unavailable: "not available",
};

async function askForPool(terminal: Terminal, pools: MyDesktopPool[]): Promise<MyDesktopPool> {
  pools.forEach((pool, index) =>
    terminal.say(`  ${index + 1}  ${pool.name} (${availabilityWords[pool.availability]})`)
  );
  for (;;) {
    const answer = await terminal.ask(`Which desktop (1-${pools.length})? `);
    const chosen = /^\d+$/.test(answer) ? pools[Number(answer) - 1] : undefined;
    if (chosen) return chosen;
    terminal.say("Type the number before the desktop's name.");
  }
}

/** Whether it is the network or the dashboard that is missing, rather than a right or a machine. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof Unreachable || error instanceof UntrustedCertificate;
