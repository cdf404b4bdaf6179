import { setTimeout as delay } from "node:timers/promises";
import type { LibvirtStatus } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type LibvirtEvent, parseEventLine, parseMonitorLine } from "./event_lines.ts";
import type { Virsh } from "./virsh.ts";

export interface LibvirtWatcher {
  onEvent(event: LibvirtEvent): void;
  /** libvirt answers and events flow: read everything again. What it throws counts as a lost connection. */
  onConnected(signal: AbortSignal): Promise<void>;
  onStatus(status: LibvirtStatus): void;
}

const firstRetryMs = 250;
const longestRetryMs = 2_000;

/** Follows libvirt's events until the signal aborts, through any number of its restarts. */
export async function watchLibvirt(
  virsh: Virsh,
  log: Logger,
  watcher: LibvirtWatcher,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = firstRetryMs;
  let connected = false;
  while (!signal.aborted) {
    try {
      await watchOnce(virsh, watcher, signal, () => {
        retryMs = firstRetryMs;
        connected = true;
        watcher.onStatus({ connected: true, since: Date.now(), reason: null });
        log.info({ uri: virsh.uri }, "connected to libvirt");
      });
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (connected || retryMs === firstRetryMs) log.warn({ reason }, "not connected to libvirt");
      connected = false;
      watcher.onStatus({ connected: false, since: Date.now(), reason });
    }
    await delay(retryMs, undefined, { signal }).catch(() => undefined);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  }
}

/** One connection, from the first answer to the end of either event stream. */
async function watchOnce(
  virsh: Virsh,
  watcher: LibvirtWatcher,
  signal: AbortSignal,
  onReady: () => void,
): Promise<void> {
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const streams = [
    follow(virsh, "event", parseEventLine, watcher, both),
    follow(virsh, "qemu-monitor-event", parseMonitorLine, watcher, both),
  ];
  try {
    const loss = Promise.race(streams);
    const ready = watcher.onConnected(both).then(onReady);
    await Promise.race([ready, loss]);
    await loss;
  } finally {
    ended.abort();
    await Promise.allSettled(streams);
  }
}

/** Reads one event stream; always rejects in the end, with the reason for people. */
async function follow(
  virsh: Virsh,
  command: "event" | "qemu-monitor-event",
  parse: (line: string) => LibvirtEvent | null,
  watcher: LibvirtWatcher,
  signal: AbortSignal,
): Promise<never> {
  const child = virsh.watch(command, { signal });
  for await (const line of child.lines()) {
    const event = parse(line);
    if (event) watcher.onEvent(event);
  }
  await child.status;
  const said = child.stderrTail().replace(/^error: /gm, "").split("\n").filter(Boolean).slice(0, 2).join(
    ": ",
  );
  throw new AppError(
    "unavailable",
    `libvirt (${virsh.uri}) is not reachable: ${said || "its event stream ended"}. ` +
      "Start it with 'systemctl start libvirtd'; KVM-VDI keeps trying.",
  );
}
