/** Reads lines and counted bytes off a stream. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, in memory of their own; null when the stream ends before them. */
  async read(length: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (this.#rest.length === 0 && !await this.#pull()) return null;
      const piece = this.#rest.subarray(0, length - filled);
      bytes.set(piece, filled);
      filled += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    return bytes;
  }

  /** The text up to the next line feed; null when the stream ends, or the line is longer than `longest`. */
  async readLine(longest: number): Promise<string | null> {
    let text = "";
    while (text.length <= longest) {
      if (this.#rest.length === 0 && !await this.#pull()) return null;
      const end = this.#rest.indexOf(0x0a);
      const piece = end < 0 ? this.#rest : this.#rest.subarray(0, end);
      text += new TextDecoder().decode(piece);
      this.#rest = this.#rest.subarray(end < 0 ? piece.length : end + 1);
      if (end >= 0) return text.length <= longest ? text : null;
    }
    return null;
  }

  /** What comes after all that was read. */
  async *rest(): AsyncGenerator<Uint8Array> {
    do {
      const piece = this.#rest;
      this.#rest = new Uint8Array(0);
      if (piece.length > 0) yield piece;
    } while (await this.#pull());
  }

  async #pull(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (done) return false;
    this.#rest = value;
    return true;
  }
}
