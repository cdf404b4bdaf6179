import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { AppError, type ErrorCode } from "../contracts/errors.ts";
import { defineMode, type ModeContext } from "../lib/cli.ts";
import { Dashboard, UntrustedCertificate } from "./dashboard.ts";
import { ClientError, exitCodeHelp, exitCodes } from "./exit_codes.ts";
import { useDesktop } from "./session.ts";
import { choosePool, type Credentials, isUnreachable, signIn, signInInteractively } from "./sign_in.ts";
import { Terminal } from "./terminal.ts";
import { viewerArgv } from "./viewer.ts";

const Options = z.object({
  server: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional()
    .describe("address of the dashboard, as https://vdi.example.org:8443"),
  ca: z.string().optional().describe(
    "file with the CA certificate (PEM) that the dashboard's must be signed by",
  ),
  username: z.string().optional().describe("user to sign in"),
  passwordStdin: z.boolean().default(false).describe(
    "read the password from the first line of standard input",
  ),
  desktopPool: z.string().optional().describe("name of the desktop pool to open"),
  once: z.boolean().default(false).describe("end after one desktop, and at the first refusal"),
  kiosk: z.boolean().default(false).describe(
    "show nothing but the desktop: no way to leave it except from inside",
  ),
  viewer: z.string().default("remote-viewer").describe("program that shows SPICE displays"),
});
type Options = z.output<typeof Options>;

const openTimeoutMs = 30_000;
const lingerMs = 4_000;
/** Between two attempts to get a desktop without --once. */
const againMs = 5_000;

export const command = defineMode({
  name: "client",
  summary: "signs in and shows a desktop full screen (thin clients)",
  options: Options,
  helpFooter: `Without options it asks on the terminal what it needs to know.

${exitCodeHelp}`,
  run: runClient,
});

/** Runs the client and returns its exit code. */
export async function runClient(options: Options, context: ModeContext): Promise<number> {
  const terminal = new Terminal();
  try {
    await work(options, context, terminal);
    return exitCodes.ok;
  } catch (error) {
    if (context.signal.aborted) return exitCodes.ok;
    const code = exitCodeOf(error);
    if (code === null) throw error;
    context.log.debug({ err: error }, "client ends");
    terminal.say((error as Error).message);
    return code;
  }
}

async function work(options: Options, { signal, log }: ModeContext, terminal: Terminal): Promise<void> {
  const server = options.server ?? await askForServer(terminal);
  const dashboard = new Dashboard(new URL(server), await readCa(options.ca));
  const viewer = { argv: viewerArgv(options.viewer, options.kiosk), openTimeoutMs, lingerMs };
  const context = { dashboard, terminal, log, viewer, device: Deno.hostname(), signal };
  const credentials = await readCredentials(options, terminal);
  try {
    for (;;) {
      try {
        if (credentials) await signIn(context, credentials);
        else await signInInteractively(context, options.username);
        const pool = await choosePool(context, options.desktopPool);
        await useDesktop(context, pool.id);
        terminal.say(`${pool.name} is closed.`);
      } catch (error) {
        if (options.once || signal.aborted || !isWorthAnotherTry(error)) throw error;
        terminal.say((error as Error).message);
        await wait(againMs, null, { signal });
      } finally {
        await signOut(dashboard);
      }
      if (options.once) return;
    }
  } finally {
    dashboard.close();
  }
}

async function askForServer(terminal: Terminal): Promise<string> {
  if (!terminal.isInteractive) {
    throw new AppError("invalid", "--server is needed: the address of the dashboard.");
  }
  for (;;) {
    const answer = await terminal.ask("Address of the dashboard (https://...): ");
    const url = answer.includes("://") ? answer : `https://${answer}`;
    if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
    terminal.say("That is not an address.");
  }
}

async function readCa(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new AppError("invalid", `--ca: ${path} cannot be read.`, { cause });
  }
}

/** Null: somebody is to be asked. */
async function readCredentials(options: Options, terminal: Terminal): Promise<Credentials | null> {
  const { username, passwordStdin } = options;
  if (passwordStdin) {
    if (username === undefined) throw new AppError("invalid", "--password-stdin needs --username.");
    return { username, password: await terminal.readLine() };
  }
  if (terminal.isInteractive) return null;
  throw new AppError("invalid", "Without a terminal, --username and --password-stdin are needed.");
}

async function signOut(dashboard: Dashboard): Promise<void> {
  try {
    await dashboard.call("signOut");
  } catch (error) {
    // The session ends by itself; there may not even be one.
    if (!(error instanceof AppError)) throw error;
  }
  dashboard.token = null;
}

const passing: ErrorCode[] = ["no_capacity", "unavailable", "conflict", "hypervisor_failed", "internal"];

/** What may be different after a while. */
function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof UntrustedCertificate) return false;
  if (error instanceof ClientError) return error.exitCode === exitCodes.startFailed;
  return error instanceof AppError && passing.includes(error.code);
}

function exitCodeOf(error: unknown): number | null {
  if (error instanceof ClientError) return error.exitCode;
  if (!(error instanceof AppError)) return null;
  if (isUnreachable(error)) return exitCodes.unreachable;
  if (error.code === "no_capacity") return exitCodes.noCapacity;
  if (error.code === "forbidden" || error.code === "not_found") return exitCodes.notEntitled;
  return error.code === "invalid" ? exitCodes.usage : exitCodes.failed;
}
