import { AppError } from "../contracts/errors.ts";

export interface HoldOptions {
  /** Completes "is busy: ..." for whoever is refused, e.g. `its disk is being copied`. */
  purpose: string;
  /** Several may hold a key shared; an exclusive holder (default) is alone. */
  shared?: boolean;
  /** More keys, held shared whatever the others are: an image that many overlays are made on. */
  sharedKeys?: readonly string[];
  /** A job holds for minutes. A request (default) waits for requests and is refused at once by a job. */
  by?: "job" | "request";
  signal?: AbortSignal;
}

interface Hold {
  /** Each with whether it is held shared. */
  keys: ReadonlyMap<string, boolean>;
  options: HoldOptions;
  grant(): void;
}

/**
 * Who works on which machine or file. All keys of a hold are granted together, first come first served, so that
 * nothing deadlocks as long as nobody asks for more while holding.
 */
export class Locks {
  readonly #held = new Set<Hold>();
  readonly #waiting: Hold[] = [];

  /**
   * Waits for the keys (machine ids or paths) and holds them until disposed: `using lock = await locks.hold(...)`.
   * @throws {AppError} `conflict` when a request meets a job's hold; the signal's reason when it aborts.
   */
  async hold(keys: readonly string[], options: HoldOptions): Promise<Disposable & AsyncDisposable> {
    options.signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { shared = false, sharedKeys = [] } = options;
    const all = [
      ...sharedKeys.map((key) => [key, true] as const),
      ...keys.map((key) => [key, shared] as const),
    ];
    const hold: Hold = { keys: new Map(all), options, grant: resolve };
    if ((options.by ?? "request") === "request") this.#refuseIfJobHolds(hold);
    this.#waiting.push(hold);
    const onAbort = () => {
      if (this.#held.has(hold)) return;
      this.#forget(hold);
      reject(options.signal?.reason);
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    this.#grantWaiting();
    try {
      await promise;
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
    }
    const release = () => this.#forget(hold);
    return {
      [Symbol.dispose]: release,
      [Symbol.asyncDispose]: () => {
        release();
        return Promise.resolve();
      },
    };
  }

  /** What a job holds a key for now, or undefined; requests are over in a moment and can be waited for. */
  purposeOf(key: string): string | undefined {
    return [...this.#held].find((hold) => hold.options.by === "job" && hold.keys.has(key))?.options.purpose;
  }

  /** Everything that is held now. */
  heldKeys(): string[] {
    return [...this.#held].flatMap(({ keys }) => [...keys.keys()]);
  }

  #refuseIfJobHolds(wanted: Hold): void {
    for (const hold of [...this.#held, ...this.#waiting]) {
      if (hold.options.by === "job" && collide(hold, wanted)) {
        throw new AppError(
          "conflict",
          `The machine is busy: ${hold.options.purpose}. Try again when that is done.`,
        );
      }
    }
  }

  #forget(hold: Hold): void {
    this.#held.delete(hold);
    const index = this.#waiting.indexOf(hold);
    if (index >= 0) this.#waiting.splice(index, 1);
    this.#grantWaiting();
  }

  #grantWaiting(): void {
    const ahead: Hold[] = [];
    for (const hold of [...this.#waiting]) {
      if ([...this.#held, ...ahead].some((other) => collide(other, hold))) {
        ahead.push(hold);
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(hold), 1);
      this.#held.add(hold);
      hold.grant();
    }
  }
}

function collide(a: Hold, b: Hold): boolean {
  const [few, many] = a.keys.size <= b.keys.size ? [a.keys, b.keys] : [b.keys, a.keys];
  for (const [key, shared] of few) if (many.has(key) && !(shared && many.get(key))) return true;
  return false;
}
