/** The agent's own executable, which a dashboard may replace. Machines and their QEMU never notice. */
import { createHash } from "node:crypto";
import { AppError } from "../contracts/errors.ts";
import { besideExecutable, replaceExecutable } from "../lib/executable_file.ts";
import type { Logger } from "../lib/log.ts";
import { run } from "../lib/process.ts";
import { isPacked } from "../lib/version.ts";
import { removeIfPresent } from "./images/files.ts";
import type { ServiceManager } from "./service_manager.ts";

const versionTimeoutMs = 20_000;

export interface ExecutableOptions {
  log: Logger;
  serviceManager: ServiceManager;
  /** Takes no new jobs any more, and resolves once those that run have ended. */
  drain(): Promise<void>;
}

export class Executable {
  /** Resolves when the agent shall end and run again as the new executable. */
  readonly restartWanted: Promise<void>;
  readonly #restart = Promise.withResolvers<void>();
  /** As it was at the start: the kernel calls it deleted once another one is in its place. */
  readonly #path = Deno.execPath();
  #isReplacing = false;
  /** Of the executable that is in place and waits for the restart. */
  #nextSha256: string | null = null;

  constructor(private readonly options: ExecutableOptions) {
    this.restartWanted = this.#restart.promise;
  }

  /**
   * Puts a new executable in the place of this one; the restart follows once no job runs any more. The same one again is
   * taken and changes nothing.
   * @param length bytes that were announced; null when they were not
   * @throws {AppError} `conflict` when this agent cannot be updated so; `unavailable` when it is being updated already;
   * `invalid` when it did not arrive whole, or does not run here.
   */
  async replace(
    bytes: AsyncIterable<Uint8Array>,
    sha256: string,
    length: number | null,
  ): Promise<void> {
    if (this.#nextSha256 === sha256) return await discard(bytes);
    this.#requireReplaceable();
    this.#isReplacing = true;
    const path = besideExecutable(this.#path);
    try {
      await receive(bytes, path, sha256, length);
      const version = await readVersion(path);
      await replaceExecutable(path, this.#path);
      this.#nextSha256 = sha256;
      this.options.log.info({ path: this.#path, sha256, version }, "new executable: restarting without jobs");
    } catch (error) {
      this.#isReplacing = false;
      throw error;
    } finally {
      await removeIfPresent(path);
    }
    void this.options.drain().then(() => this.#restart.resolve());
  }

  /** The argv of the program that this one restarts as. */
  get command(): string[] {
    return [this.#path, ...Deno.args];
  }

  #requireReplaceable(): void {
    if (!isPacked) {
      throw new AppError(
        "conflict",
        "Update the agent: it runs from its sources. Update those, and restart it.",
      );
    }
    if (this.options.serviceManager === "dashboard") {
      throw new AppError(
        "conflict",
        "Update the agent: it belongs to the dashboard's own service. Restart that one.",
      );
    }
    if (this.#isReplacing) {
      throw new AppError(
        "unavailable",
        "Update the agent: it is being updated already. Wait for its restart.",
      );
    }
  }
}

async function discard(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of bytes) { /* whoever sends it again wants an answer at its end */ }
}

async function receive(
  bytes: AsyncIterable<Uint8Array>,
  path: string,
  sha256: string,
  length: number | null,
): Promise<void> {
  const hash = createHash("sha256");
  let received = 0;
  {
    using file = await Deno.open(path, { createNew: true, write: true, mode: 0o700 });
    for await (const chunk of bytes) {
      hash.update(chunk);
      received += chunk.length;
      for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
    }
  }
  if (length !== null && received !== length) {
    throw new AppError("invalid", `Update the agent: ${received} of ${length} bytes arrived. Try again.`);
  }
  if (hash.digest("hex") !== sha256) {
    throw new AppError("invalid", "Update the agent: the executable was damaged on its way. Try again.");
  }
}

/** Runs it, to see that it can. */
async function readVersion(path: string): Promise<string> {
  try {
    const { stdout } = await run([path, "version"], { cwd: "/", timeoutMs: versionTimeoutMs });
    if (/^kvm-vdi \S+\ncommit /.test(stdout)) return stdout.split("\n").slice(0, 2).join(", ");
    throw new Error(`it says: ${stdout.slice(0, 200)}`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 300) : String(cause);
    throw new AppError(
      "invalid",
      `Update the agent: the new executable does not run on this host (${why}).`,
      {
        cause,
      },
    );
  }
}
