import type { AgentEvent } from "../../contracts/agent.ts";

/** A reader that falls this far behind is cut off; it connects again and gets a new snapshot. */
const longestQueue = 20_000;

/** Hands every event to every open stream, in order. */
export class EventHub {
  readonly #streams = new Set<EventStream>();
  #lastSentAt = 0;

  emit(event: AgentEvent): void {
    this.#lastSentAt = Date.now();
    for (const stream of this.#streams) stream.push(event);
  }

  /** A stream that begins with `snapshot()`, taken at the same moment from which changes follow. */
  open(snapshot: () => AgentEvent): EventStream {
    const stream: EventStream = new EventStream(() => this.#streams.delete(stream));
    stream.push(snapshot());
    this.#streams.add(stream);
    return stream;
  }

  /** Sends a heartbeat when nothing was sent for a while. */
  heartbeat(quietMs: number): void {
    const now = Date.now();
    if (now - this.#lastSentAt >= quietMs) this.emit({ type: "heartbeat", at: now });
  }

  /** Ends all streams. */
  close(): void {
    for (const stream of [...this.#streams]) stream.end();
  }
}

/** The events of one reader, as newline-delimited JSON. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #encoder = new TextEncoder();
  #queue: string[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #onEnd: (() => void) | undefined;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    this.body = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#flush(),
      cancel: () => this.#finish(),
    });
  }

  push(event: AgentEvent): void {
    if (!this.#onEnd) return;
    if (this.#queue.length >= longestQueue) return this.end();
    this.#queue.push(JSON.stringify(event));
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#flush();
  }

  end(): void {
    if (!this.#onEnd) return;
    this.#flush();
    this.#controller?.close();
    this.#finish();
  }

  #finish(): void {
    this.#onEnd?.();
    this.#onEnd = undefined;
    this.#queue = [];
  }

  #flush(): void {
    if (this.#queue.length === 0) return;
    const lines = this.#queue.join("\n") + "\n";
    // First: enqueue() may call pull(), which comes back here.
    this.#queue = [];
    this.#controller?.enqueue(this.#encoder.encode(lines));
  }
}
