/** Commands and files on a host, through an SSH connection of an account that may administer it. */
import type { SshLink } from "../agents/ssh/ssh_link.ts";
import type { SftpSession, SshError } from "../agents/ssh/ssh2.ts";

export interface RemoteResult {
  /** Null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RemoteOptions {
  /** Written to the command's standard input: the one place for a password. */
  stdin?: string;
  onLine?(line: string): void;
}

/** What is kept of a command's output. */
const outputLimitChars = 64 * 1024;

/** A word for a POSIX shell, whatever is in it. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

export class RemoteShell {
  #sftp: Promise<SftpSession> | undefined;

  constructor(private readonly link: SshLink, private readonly signal: AbortSignal) {}

  /** Runs a script with sh, whatever the account's own shell is. Never put a secret into it. */
  run(script: string, { stdin = "", onLine }: RemoteOptions = {}): Promise<RemoteResult> {
    return this.#whileOpen((resolve, reject) => {
      this.link.client.exec(`sh -c ${quote(script)}`, {}, (error, channel) => {
        if (error) return reject(error);
        const stdout = new Output(onLine);
        const stderr = new Output();
        channel.on("data", stdout.take);
        channel.stderr.on("data", stderr.take);
        channel.on("close", (code: number | null | undefined) => {
          stdout.end();
          resolve({ code: code ?? null, stdout: stdout.text, stderr: stderr.text });
        });
        channel.end(stdin);
      });
    });
  }

  /** Copies a file of this host there, for its owner only. */
  async upload(from: string, to: string, onProgress: (bytes: number) => void): Promise<void> {
    const sftp = await this.#openSftp();
    await this.#whileOpen<void>((resolve, reject) => {
      const options = { mode: 0o700, step: onProgress };
      sftp.fastPut(from, to, options, (error) => error ? reject(error) : resolve());
    });
  }

  #openSftp(): Promise<SftpSession> {
    return this.#sftp ??= this.#whileOpen((resolve, reject) =>
      this.link.client.sftp((error, sftp) => error ? reject(error) : resolve(sftp))
    );
  }

  /** Nothing answers any more once the connection is gone. */
  async #whileOpen<T>(
    act: (resolve: (value: T) => void, reject: (error: SshError) => void) => void,
  ): Promise<T> {
    this.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const abort = () => reject(this.signal.reason);
    this.signal.addEventListener("abort", abort);
    void this.link.closed.then(reject);
    try {
      act(resolve, reject);
      return await promise;
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }
}

class Output {
  text = "";
  #rest = "";
  readonly #decoder = new TextDecoder();

  constructor(private readonly onLine?: (line: string) => void) {}

  take = (chunk: Uint8Array): void => {
    const text = this.#decoder.decode(chunk, { stream: true });
    this.text = (this.text + text).slice(-outputLimitChars);
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.onLine?.(line);
  };

  end(): void {
    if (this.#rest !== "") this.onLine?.(this.#rest);
  }
}
