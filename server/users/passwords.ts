import { AppError } from "../../contracts/errors.ts";
import { type HashAnswer, type HashTask, startPasswordWorker } from "./password_worker.ts";

interface Waiting {
  task: HashTask;
  resolve(value: string | boolean): void;
  reject(error: unknown): void;
}

/** A hash of an unknown password with today's cost: what is verified when there is no user, so that it takes as long. */
const nobodysHash =
  "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const maxWaiting = 1000;
const idleMs = 30_000;

/** argon2id on all cores, in workers, so that nothing else waits for it. Idle workers give their memory back. */
export class Passwords {
  readonly #waiting: Waiting[] = [];
  readonly #idle: Worker[] = [];
  readonly #working = new Map<Worker, Waiting>();
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(private readonly workers = Math.max(1, navigator.hardwareConcurrency)) {}

  /** Returns the encoded hash, with its own random salt. */
  async hash(password: string): Promise<string> {
    const salt = crypto.getRandomValues(new Uint8Array(16));
    return await this.#run({ kind: "hash", password: password.normalize("NFC"), salt }) as string;
  }

  /** Whether the password belongs to the hash. Without a hash: false, after the same work. */
  async verify(password: string, hash: string | null): Promise<boolean> {
    const task: HashTask = { kind: "verify", password: password.normalize("NFC"), hash: hash ?? nobodysHash };
    return await this.#run(task) as boolean && hash !== null;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    for (const worker of [...this.#idle.splice(0), ...this.#working.keys()]) worker.terminate();
    const gone = new AppError("unavailable", "The dashboard is shutting down. Try again in a moment.");
    for (const waiting of [...this.#working.values(), ...this.#waiting.splice(0)]) waiting.reject(gone);
    this.#working.clear();
  }

  #run(task: HashTask): Promise<string | boolean> {
    if (this.#closed) throw new AppError("unavailable", "The dashboard is shutting down.");
    if (this.#waiting.length >= maxWaiting) {
      throw new AppError("unavailable", "Too many people are signing in right now. Try again in a moment.");
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    const worker = this.#idle.pop() ?? (this.#working.size < this.workers ? this.#start() : undefined);
    if (!worker) return;
    const waiting = this.#waiting.shift()!;
    this.#working.set(worker, waiting);
    worker.postMessage(waiting.task);
  }

  #start(): Worker {
    const worker = startPasswordWorker();
    worker.onmessage = ({ data }: MessageEvent<HashAnswer>) => {
      const waiting = this.#working.get(worker);
      this.#working.delete(worker);
      this.#idle.push(worker);
      if ("error" in data) waiting?.reject(new Error(`hashing a password failed: ${data.error}`));
      else waiting?.resolve(data.value);
      this.#next();
      this.#stopIdleLater();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#working.get(worker)?.reject(new Error(`a password worker failed: ${event.message}`));
      this.#working.delete(worker);
      worker.terminate();
      this.#next();
    };
    return worker;
  }

  #stopIdleLater(): void {
    clearTimeout(this.#idleTimer);
    if (this.#closed) return;
    this.#idleTimer = setTimeout(() => {
      for (const worker of this.#idle.splice(0)) worker.terminate();
    }, idleMs);
    Deno.unrefTimer(this.#idleTimer);
  }
}
