/**
 * Changes inside the dashboard, published after the row was committed. They carry ids, not rows: whoever listens reads
 * what it needs. /api/events coalesces them and sends the rendered objects.
 */
import type { Job } from "../contracts/job.ts";
import type { Upload } from "../contracts/storage.ts";

export type Change =
  | { type: "machines"; ids: string[] }
  | { type: "machine-removed"; id: string }
  | { type: "machine-load"; hypervisorId: string }
  | { type: "job"; job: Job }
  /** `load`: nothing but how busy it is. */
  | { type: "hypervisor"; id: string; load?: true }
  | { type: "hypervisor-removed"; id: string }
  | { type: "desktop-pool"; id: string }
  | { type: "desktop-pool-removed"; id: string }
  | { type: "entitlements"; userIds: string[] | "all" }
  | { type: "user"; id: string }
  | { type: "lease"; id: string; userId: string; ended: boolean }
  | { type: "audit"; id: number }
  | { type: "image"; id: string }
  | { type: "upload"; upload: Upload }
  | { type: "settings" };

type Listener = (change: Change) => void;

/** A synchronous fan-out; a listener that throws is logged by `onError` and does not stop the others. */
export class Bus {
  #listeners = new Set<Listener>();
  constructor(private readonly onError: (error: unknown) => void) {}

  publish(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.onError(error);
      }
    }
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
