/** What the client asks and tells people: on a terminal line by line, elsewhere as plain lines on standard error. */
import { AppError } from "../contracts/errors.ts";

const encoder = new TextEncoder();

export class Terminal {
  #input: AsyncGenerator<string> | undefined;
  #progress = "";

  /** Whether somebody can be asked. */
  get isInteractive(): boolean {
    return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
  }

  say(text: string): void {
    this.#endProgress();
    this.#write(`${text}\n`);
  }

  /** A line that is replaced by the next one on a terminal, and written once elsewhere. */
  progress(text: string): void {
    if (text === this.#progress) return;
    if (Deno.stderr.isTerminal()) this.#write(`\r\x1b[K${text}`);
    else this.#write(`${text}\n`);
    this.#progress = text;
  }

  async ask(question: string): Promise<string> {
    this.#endProgress();
    this.#write(question);
    return (await this.readLine()).trim();
  }

  /** Asks without showing what is typed. @throws {AppError} `cancelled` on Ctrl-C or Ctrl-D */
  async askSecret(question: string): Promise<string> {
    this.#endProgress();
    // Before the question, so that not even the fastest typist sees an echo.
    Deno.stdin.setRaw(true, { cbreak: false });
    try {
      this.#write(question);
      return await readSecret();
    } finally {
      Deno.stdin.setRaw(false);
      this.#write("\n");
    }
  }

  /** One line of standard input without its end. @throws {AppError} `cancelled` when there is none */
  async readLine(): Promise<string> {
    this.#input ??= readInputLines();
    const { value, done } = await this.#input.next();
    if (!done) return value;
    throw new AppError("cancelled", "There is no more input.");
  }

  #endProgress(): void {
    if (this.#progress !== "" && Deno.stderr.isTerminal()) this.#write("\n");
    this.#progress = "";
  }

  #write(text: string): void {
    Deno.stderr.writeSync(encoder.encode(text));
  }
}

async function* readInputLines(): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(4096);
  let rest = "";
  for (;;) {
    const length = await Deno.stdin.read(chunk);
    if (length === null) break;
    const lines = (rest + decoder.decode(chunk.subarray(0, length), { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}

/** Reads keys of a raw terminal up to Enter. */
async function readSecret(): Promise<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(256);
  let secret = "";
  for (;;) {
    const length = await Deno.stdin.read(chunk);
    const keys = length === null ? "\x04" : decoder.decode(chunk.subarray(0, length), { stream: true });
    for (const key of keys) {
      if (key === "\r" || key === "\n") return secret;
      if (key === "\x03" || key === "\x04") throw new AppError("cancelled", "Cancelled.");
      if (key === "\x7f" || key === "\b") secret = [...secret].slice(0, -1).join("");
      else if (key === "\x15") secret = "";
      else if (key >= " ") secret += key;
    }
  }
}
