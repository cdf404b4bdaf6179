import type { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

type Done = (error?: Error | null) => void;

/**
 * A forwarded connection that behaves as a net.Socket does. The channel of ssh2 below it does not: it stays half open for
 * ever, `destroy()` does not close it, and a write to a connection that is gone is never answered.
 */
export class ForwardedSocket extends Duplex {
  #pendingWrite: Done | null = null;

  constructor(private readonly channel: Duplex) {
    super({ allowHalfOpen: false });
    // Between being opened and being used it may break already; 'close' tells whoever comes then.
    this.on("error", () => {});
    channel.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on("end", () => this.push(null));
    channel.on("error", (error: Error) => this.destroy(error));
    channel.on("close", () => {
      // What was written and not taken any more is lost; what was received is still there to be read.
      if (this.#pendingWrite) this.destroy(new Error("The connection was closed."));
      else if (!this.readableEnded) this.push(null);
      else this.destroy();
    });
  }

  /** node:http calls these of any connection. The one below has neither Nagle's delay nor an idle limit. */
  setNoDelay = (): this => this;
  setKeepAlive = (): this => this;
  setTimeout = (): this => this;
  ref = (): this => this;
  unref = (): this => this;

  override _read(): void {
    this.channel.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#pendingWrite = done;
    this.channel.write(chunk, (error) => {
      if (this.#pendingWrite !== done) return;
      this.#pendingWrite = null;
      done(error);
    });
  }

  override _final(done: Done): void {
    this.channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const write = this.#pendingWrite;
    this.#pendingWrite = null;
    this.channel.destroy();
    // Nobody reads it any more, and its end comes only after what it has received.
    this.channel.resume();
    write?.(error ?? new Error("The connection was closed."));
    done(error);
  }
}
