/** The dashboard's event stream: one connection a tab; it reconnects by itself and says when it is lost. */
import { signal } from "@preact/signals";
import { plainPaths } from "../contracts/api.ts";
import { DashboardEvent } from "../contracts/events.ts";

export type Connection = "off" | "connecting" | "live" | "lost";

/** State of the stream. `lost` is shown to the user: what is on the screen may be old. */
export const connection = signal<Connection>("off");
/** Grows with every reconnection: what was loaded before must be loaded again. */
export const generation = signal(0);

const retryMs = [500, 1000, 2000, 5000];
const types = DashboardEvent.options.map((option) => option.shape.type.value);
const listeners = new Set<(event: DashboardEvent) => void>();

let source: EventSource | undefined;
let retry: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
let everLive = false;

/** Runs `listener` for every event until the returned function is called. */
export function onEvent(listener: (event: DashboardEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Hands an event to every listener. */
export function publish(event: DashboardEvent): void {
  for (const listener of [...listeners]) listener(event);
}

/** Connects, and stays connected until stopEvents(). */
export function startEvents(): void {
  stopEvents();
  connection.value = "connecting";
  connect();
}

export function stopEvents(): void {
  clearTimeout(retry);
  source?.close();
  source = undefined;
  failures = 0;
  everLive = false;
  connection.value = "off";
}

/** Tries again at once, for the "try now" button of the banner. */
export function reconnectNow(): void {
  clearTimeout(retry);
  connect();
}

function connect(): void {
  source?.close();
  const opened = new EventSource(plainPaths.events);
  source = opened;
  for (const type of types) opened.addEventListener(type, (message) => receive(message.data));
  opened.onerror = () => {
    opened.close();
    if (source !== opened) return;
    connection.value = "lost";
    retry = setTimeout(connect, retryMs[Math.min(failures++, retryMs.length - 1)]);
  };
}

function receive(text: string): void {
  const parsed = DashboardEvent.safeParse(JSON.parse(text));
  if (!parsed.success) return; // a newer dashboard may send what this page does not know yet
  if (parsed.data.type === "snapshot") {
    failures = 0;
    if (everLive) generation.value++;
    everLive = true;
    connection.value = "live";
  }
  publish(parsed.data);
}
