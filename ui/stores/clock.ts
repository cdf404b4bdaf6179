import { signal } from "@preact/signals";

/** The time, to the nearest ten seconds; relative times on the page follow it. */
export const now = signal(Date.now());

/** Called once at start. */
export const startClock = () => void setInterval(() => now.value = Date.now(), 10_000);
