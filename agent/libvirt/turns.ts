/** Lets a number of holders in at a time, the others in their order. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  constructor(private free: number) {}

  async take(): Promise<Disposable> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return { [Symbol.dispose]: () => this.#pass() };
  }

  #pass(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.free++;
  }
}
