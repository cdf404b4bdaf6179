/** One use of a desktop: get it, wait until it is ready, show it, keep it alive, give it back. */
import { setTimeout as wait } from "node:timers/promises";
import type { Desktop } from "../contracts/desktop.ts";
import { AppError } from "../contracts/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Dashboard } from "./dashboard.ts";
import { ClientError, exitCodes } from "./exit_codes.ts";
import { Heartbeat } from "./heartbeat.ts";
import { persist } from "./retry.ts";
import type { Terminal } from "./terminal.ts";
import { showDesktop, type ViewerOptions } from "./viewer.ts";

export interface SessionContext {
  dashboard: Dashboard;
  terminal: Terminal;
  log: Logger;
  viewer: ViewerOptions;
  /** Name of this device, shown to admins and used to notice that the desktop was opened elsewhere. */
  device: string;
  signal: AbortSignal;
}

const pollMs = 500;
/** A machine that restarts itself is off for a moment; one that is off for longer was shut down. */
const restartMs = 10_000;
/** Displays that are lost again so soon after they were opened, and how many of them are too many. */
const shortLifeMs = 20_000;
const maxShortLives = 3;

/**
 * Uses a desktop of the pool until its user closes it or shuts it down.
 * @throws {ClientError} with the exit code that says what went wrong
 */
export async function useDesktop(context: SessionContext, desktopPoolId: string): Promise<void> {
  const { dashboard, signal } = context;
  const desktop = await open(context, desktopPoolId);
  let isOurs = true;
  try {
    const ready = await untilReady(context, desktop);
    await using _heartbeat = new Heartbeat(dashboard, ready.id, context.log);
    isOurs = await showUntilClosed(context, desktopPoolId, ready);
  } catch (error) {
    if (error instanceof ClientError && error.exitCode === exitCodes.endedElsewhere) isOurs = false;
    throw error;
  } finally {
    if (isOurs) await giveBack(context, desktop.id);
  }
  signal.throwIfAborted();
}

function open(
  { dashboard, device, signal, terminal }: SessionContext,
  desktopPoolId: string,
): Promise<Desktop> {
  return persist(terminal, signal, async () => {
    const body = { desktopPoolId, terminal: device };
    return (await dashboard.call("getDesktop", { body, signal })).desktop;
  });
}

const stageWords: Record<Desktop["stage"], string> = {
  allocated: "is being prepared",
  starting: "is being started",
  booting: "is booting",
  ready: "is ready",
};

async function untilReady(context: SessionContext, first: Desktop): Promise<Desktop> {
  const { signal, terminal } = context;
  const startedAt = Date.now();
  for (let desktop = first;;) {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    const name = desktop.machine?.name ?? desktop.desktopPoolName;
    if (desktop.state === "failed") {
      throw new ClientError(exitCodes.startFailed, desktop.error?.message ?? `${name} could not be started.`);
    }
    if (desktop.state === "ended") throw endedElsewhere(desktop);
    terminal.progress(`${name} ${stageWords[desktop.stage]}${seconds > 0 ? ` (${seconds} s)` : ""}`);
    if (desktop.state === "ready") return desktop;
    await wait(pollMs, null, { signal });
    desktop = await persist(terminal, signal, () => getDesktop(context, desktop.id));
  }
}

/** Shows the desktop, again after each loss that was not meant. Returns whether it is still ours to give back. */
async function showUntilClosed(
  context: SessionContext,
  desktopPoolId: string,
  first: Desktop,
): Promise<boolean> {
  const { dashboard, signal, terminal } = context;
  let desktop = first;
  for (let shortLives = 0;;) {
    const id = desktop.id;
    const connection = await persist(
      terminal,
      signal,
      () => dashboard.call("connectMyDesktop", { id, signal }),
    );
    if (connection.protocol !== "spice") {
      throw new ClientError(
        exitCodes.viewerFailed,
        `${desktop.desktopPoolName} has no SPICE display to show.`,
      );
    }
    terminal.say(`${connection.title} opens on ${connection.machineName}.`);
    const openedAt = Date.now();
    const end = await showDesktop(dashboard, connection, context.viewer, signal);
    if (end === "closed" || end === "stopped") return true;
    shortLives = Date.now() - openedAt < shortLifeMs ? shortLives + 1 : 0;
    if (shortLives >= maxShortLives) {
      throw new ClientError(
        exitCodes.viewerFailed,
        `The display of ${connection.machineName} could not be kept open.`,
      );
    }
    const next = await afterLoss(context, desktopPoolId, id);
    if (next === null) return true;
    desktop = next;
  }
}

/** What became of the desktop when its display was lost; null: its user has shut it down. */
async function afterLoss(
  context: SessionContext,
  desktopPoolId: string,
  id: string,
): Promise<Desktop | null> {
  const { signal, terminal } = context;
  for (let until = Infinity;;) {
    const desktop = await persist(terminal, signal, () => getDesktop(context, id));
    if (desktop.state === "ended" || desktop.state === "failed") throw endedElsewhere(desktop);
    if (desktop.terminal !== context.device) {
      throw new ClientError(exitCodes.endedElsewhere, `You opened this desktop on ${desktop.terminal}.`);
    }
    if (desktop.machine?.state === "running") {
      return await untilReady(context, await open(context, desktopPoolId));
    }
    // Counted from the first answer: the dashboard may have been away for long.
    until = Math.min(until, Date.now() + restartMs);
    if (Date.now() >= until) return null;
    await wait(pollMs, null, { signal });
  }
}

const getDesktop = async ({ dashboard, signal }: SessionContext, id: string): Promise<Desktop> =>
  (await dashboard.call("getMyDesktop", { id, signal })).desktop;

const endedElsewhere = ({ desktopPoolName }: Desktop) =>
  new ClientError(exitCodes.endedElsewhere, `Your use of ${desktopPoolName} was ended by the dashboard.`);

/** Also works while the client is being stopped; without an answer the lease ends by itself. */
async function giveBack({ dashboard, log }: SessionContext, id: string): Promise<void> {
  try {
    await dashboard.call("endMyDesktop", { id });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    log.warn(
      { err: error },
      "the desktop could not be given back; it will be when its heartbeats are missed",
    );
  }
}
