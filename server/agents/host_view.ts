/** What one agent has told so far: its host and domains in memory, replaced by a snapshot and patched by changes. */
import type {
  AgentEvent,
  AgentJob,
  Domain,
  DomainLoad,
  Hello,
  LibvirtStatus,
} from "../../contracts/agent.ts";
import type { HostFacts, HostLoad } from "../../contracts/hypervisor.ts";

/** What changed by one event, for those who keep rows or wait for something. */
export type HostChange =
  | { type: "status" }
  | { type: "load" }
  /** `complete`: these are all the domains there are. */
  | { type: "domains"; ids: string[]; complete: boolean }
  | { type: "job"; job: AgentJob }
  /** Every job the agent knows, at the start of a connection. */
  | { type: "jobs"; jobs: AgentJob[] };

export class HostView {
  hello: Hello | null = null;
  libvirt: LibvirtStatus | null = null;
  facts: HostFacts | null = null;
  load: HostLoad | null = null;
  readonly domains = new Map<string, Domain>();
  readonly domainLoads = new Map<string, DomainLoad>();

  /** Takes an event in and says what changed. */
  apply(event: AgentEvent): HostChange[] {
    switch (event.type) {
      case "snapshot":
        return this.#applySnapshot(event);
      case "domains":
        return [this.#replaceDomains(event.domains)];
      case "domain":
        this.domains.set(event.domain.id, event.domain);
        if (event.domain.state !== "running") this.domainLoads.delete(event.domain.id);
        return [{ type: "domains", ids: [event.domain.id], complete: false }];
      case "domain-removed":
        this.domains.delete(event.id);
        this.domainLoads.delete(event.id);
        return [{ type: "domains", ids: [event.id], complete: false }];
      case "load":
        this.load = event.load;
        this.domainLoads.clear();
        for (const load of event.domains) this.domainLoads.set(load.id, load);
        return [{ type: "load" }];
      case "facts":
        this.facts = event.facts;
        return [{ type: "status" }];
      case "libvirt":
        this.libvirt = event.libvirt;
        return [{ type: "status" }];
      case "job":
        return [{ type: "job", job: event.job }];
      case "display":
      case "heartbeat":
        return [];
    }
  }

  #applySnapshot(event: Extract<AgentEvent, { type: "snapshot" }>): HostChange[] {
    this.hello = event.hello;
    this.libvirt = event.libvirt;
    this.facts = event.facts;
    this.load = event.load;
    // While libvirt is away its list of domains is not an answer: what was known stays.
    const domains: HostChange[] = event.libvirt.connected || event.domains.length > 0
      ? [this.#replaceDomains(event.domains)]
      : [{ type: "domains", ids: [...this.domains.keys()], complete: false }];
    return [{ type: "status" }, ...domains, { type: "jobs", jobs: event.jobs }];
  }

  #replaceDomains(domains: Domain[]): HostChange {
    this.domains.clear();
    for (const domain of domains) this.domains.set(domain.id, domain);
    for (const id of this.domainLoads.keys()) if (!this.domains.has(id)) this.domainLoads.delete(id);
    return { type: "domains", ids: [...this.domains.keys()], complete: true };
  }
}
