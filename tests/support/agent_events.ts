import type { Agent, AgentEvent, AgentJob, AgentJobRequest, Domain } from "../../contracts/agent.ts";
import { isOpenJob } from "../../contracts/job.ts";

/** Follows an agent's events and knows what they amount to. */
export class AgentEvents implements AsyncDisposable {
  readonly all: AgentEvent[] = [];
  readonly domains = new Map<string, Domain>();
  readonly jobs = new Map<string, AgentJob>();
  readonly #waiting = new Set<() => void>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  ended = false;

  constructor(agent: Agent) {
    this.#done = this.#follow(agent).catch((error) => {
      if (!this.#abort.signal.aborted) console.error("the event stream failed:", error);
    }).finally(() => {
      this.ended = true;
      this.#wake();
    });
  }

  /** Waits until `check` returns something, after each event. */
  async until<T>(what: string, check: () => T | undefined | null | false, timeoutMs = 30_000): Promise<T> {
    const giveUpAt = Date.now() + timeoutMs;
    for (;;) {
      const result = check();
      if (result) return result;
      if (this.ended || Date.now() > giveUpAt) throw new Error(`${what}: not within ${timeoutMs} ms`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      const timer = setTimeout(resolve, giveUpAt - Date.now() + 1);
      await promise;
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }

  /** Waits until a domain is as asked for. */
  untilDomain(
    id: string,
    what: string,
    check: (domain: Domain) => boolean,
    timeoutMs?: number,
  ): Promise<Domain> {
    return this.until(`domain ${id} ${what}`, () => {
      const domain = this.domains.get(id);
      return domain && check(domain) && domain;
    }, timeoutMs);
  }

  /** Starts a job and waits for its end. */
  async runJob(agent: Agent, operation: AgentJobRequest["operation"], timeoutMs?: number): Promise<AgentJob> {
    const { id } = await agent.startJob({ id: crypto.randomUUID(), operation });
    return await this.untilJobEnds(id, timeoutMs);
  }

  untilJobEnds(id: string, timeoutMs?: number): Promise<AgentJob> {
    return this.until(`job ${id} ends`, () => {
      const job = this.jobs.get(id);
      return job && !isOpenJob(job) && job;
    }, timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #follow(agent: Agent): Promise<void> {
    for await (const event of agent.events(this.#abort.signal)) {
      this.#apply(event);
      this.all.push(event);
      this.#wake();
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }

  #apply(event: AgentEvent): void {
    switch (event.type) {
      case "snapshot":
      case "domains":
        this.domains.clear();
        for (const domain of event.domains) this.domains.set(domain.id, domain);
        if (event.type === "snapshot") { for (const job of event.jobs) this.jobs.set(job.id, job); }
        return;
      case "domain":
        return void this.domains.set(event.domain.id, event.domain);
      case "domain-removed":
        return void this.domains.delete(event.id);
      case "job":
        return void this.jobs.set(event.job.id, event.job);
    }
  }
}
