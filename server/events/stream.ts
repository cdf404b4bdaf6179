import type { DashboardEvent } from "../../contracts/events.ts";

/** What may wait for one client before it is dropped; it connects again and starts from a snapshot. */
const maxWaitingBytes = 8 * 1024 * 1024;
const encoder = new TextEncoder();

/** Server-sent events (WHATWG HTML, 9.2): `event:` is the type, `data:` the whole object. */
export function encodeEvent(event: DashboardEvent): Uint8Array {
  return encoder.encode(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

const keepAlive = encoder.encode(": \n\n");

/** One client of the event stream. Nothing is sent before `open`, so that the snapshot comes first. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #held: Uint8Array[] | null = [];
  #closed = false;

  constructor(private readonly onClose: () => void) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      cancel: () => this.#end(),
    }, { highWaterMark: maxWaitingBytes, size: (chunk) => chunk.byteLength });
  }

  /** Sends the snapshot and what happened since the stream was made. */
  open(snapshot: Uint8Array): void {
    const held = this.#held ?? [];
    this.#held = null;
    this.send(encoder.encode("retry: 1000\n\n"));
    this.send(snapshot);
    for (const chunk of held) this.send(chunk);
  }

  send(chunk: Uint8Array): void {
    if (this.#closed) return;
    if (this.#held) return void this.#held.push(chunk);
    this.#controller.enqueue(chunk);
    if ((this.#controller.desiredSize ?? 0) < 0) this.drop();
  }

  keepAlive(): void {
    if (!this.#held) this.send(keepAlive);
  }

  /** Ends the stream in good order. */
  close(): void {
    if (this.#closed) return;
    this.#controller.close();
    this.#end();
  }

  /** Ends the stream at once and frees what waits for a client that does not read. */
  drop(): void {
    if (this.#closed) return;
    this.#controller.error(new Error("the client of the event stream reads too slowly"));
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose();
  }
}
