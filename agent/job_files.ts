import { join } from "node:path";
import { z } from "zod";
import { AgentJob, AgentOperation } from "../contracts/agent.ts";
import { isOpenJob } from "../contracts/job.ts";
import type { Logger } from "../lib/log.ts";

/** A job and what it was asked to do, as kept on disk. */
export const KeptJob = z.object({
  job: AgentJob.extend({ result: AgentJob.shape.result.default(null) }),
  operation: AgentOperation,
  recover: z.boolean().describe("the agent was killed meanwhile and has not cleaned up yet"),
});
export type KeptJob = z.infer<typeof KeptJob>;

const mostKept = 200;

/** One small file a job, so that a restarted agent can tell how each ended. The newest 200 are kept. */
export class JobFiles {
  /** Ids and when each ended (Infinity: still open or not cleaned up), oldest first. */
  readonly #ended = new Map<string, number>();

  constructor(private readonly directory: string, private readonly log: Logger) {}

  async readAll(): Promise<KeptJob[]> {
    await Deno.mkdir(this.directory, { recursive: true });
    const all: KeptJob[] = [];
    for await (const { name } of Deno.readDir(this.directory)) {
      const kept = name.endsWith(".json") ? await this.#read(name) : undefined;
      if (!kept) continue;
      all.push(kept);
      this.#remember(kept);
    }
    return all.sort((a, b) => (a.job.startedAt ?? 0) - (b.job.startedAt ?? 0));
  }

  async write(kept: KeptJob): Promise<void> {
    this.#remember(kept);
    const path = join(this.directory, `${kept.job.id}.json`);
    await Deno.writeTextFile(`${path}.partial`, JSON.stringify(kept));
    await Deno.rename(`${path}.partial`, path);
  }

  /** Forgets the jobs that ended longest ago and returns their ids. */
  async removeOldest(): Promise<string[]> {
    const removable = [...this.#ended].filter(([, endedAt]) => endedAt < Infinity)
      .sort(([, a], [, b]) => a - b).map(([id]) => id);
    const surplus = removable.slice(0, Math.max(0, this.#ended.size - mostKept));
    for (const id of surplus) this.#ended.delete(id);
    for (const id of surplus) await Deno.remove(join(this.directory, `${id}.json`));
    return surplus;
  }

  #remember({ job, recover }: KeptJob): void {
    this.#ended.set(job.id, isOpenJob(job) || recover ? Infinity : job.endedAt ?? 0);
  }

  async #read(name: string): Promise<KeptJob | undefined> {
    try {
      return KeptJob.parse(JSON.parse(await Deno.readTextFile(join(this.directory, name))));
    } catch (error) {
      this.log.error({ err: error, file: name }, "a kept job cannot be read and is left out");
      return undefined;
    }
  }
}
