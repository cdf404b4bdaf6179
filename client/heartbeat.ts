import type { Logger } from "../lib/log.ts";
import type { Dashboard } from "./dashboard.ts";
import { setTimeout as wait } from "node:timers/promises";

const firstMs = 5_000;
/** Between attempts while the dashboard does not answer. */
const retryMs = 5_000;

/** Tells the dashboard that the desktop is in use, until disposed. Failures change nothing for the viewer. */
export class Heartbeat implements AsyncDisposable {
  #stop = new AbortController();
  #done: Promise<void>;

  constructor(
    private readonly dashboard: Dashboard,
    private readonly id: string,
    private readonly log: Logger,
  ) {
    this.#done = this.#beat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stop;
    let nextMs = firstMs;
    while (!signal.aborted) {
      try {
        await wait(nextMs, null, { signal });
        const { intervalSeconds } = await this.dashboard.call("heartbeat", { id: this.id, signal });
        nextMs = intervalSeconds * 1000;
      } catch (error) {
        if (signal.aborted) return;
        this.log.debug({ err: error }, "heartbeat failed");
        nextMs = retryMs;
      }
    }
  }
}
